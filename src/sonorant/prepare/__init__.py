"""Preparing: from the model that a publisher ships to artefacts that cost less, each with its proof.

subject     what is prepared: a network's file, its signature, feeds that real speech brought about
passes/     ONNX → ONNX, one subject a file
parity      the source and what was derived from it, on the same feeds
divergence  the first layer at which they part
making      passes, proof and figures: one artefact
"""
