"""Engines: what holds a network's weights and computes."""
