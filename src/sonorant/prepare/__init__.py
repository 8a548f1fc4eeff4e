"""Preparing: from the model that a publisher ships to artefacts that cost less, each with its proof.

export      a torch checkpoint → ONNX, by the exporter that proves right
subject     what is prepared: a network's file, its signature, feeds that real speech brought about
passes/     ONNX → ONNX, one subject a file
parity      the source and what was derived from it, on the same feeds
divergence  the first layer at which they part
making      passes, proof and figures: one artefact
"""

SECONDS: float = 1800
"""that one step may take"""
WORKSPACE = 2 << 30
"""bytes of GPU memory that a TensorRT layer's tactic may take: HiFi-GAN has one of 1.1 GB, for 8 rows of 800
frames"""
