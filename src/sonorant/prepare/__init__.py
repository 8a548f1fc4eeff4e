"""Preparing: from the model that a publisher ships to artefacts that cost less, each with its proof.

export      a torch checkpoint → ONNX, by the exporter that proves right
"""
