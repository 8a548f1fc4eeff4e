"""ONNX to LiteRT, in an environment that has TensorFlow: `run.main`."""
