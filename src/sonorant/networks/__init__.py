"""Networks: a signature declared once, an engine that runs it, and the ways to call it."""

from sonorant.networks.network import Lane, Network, State
from sonorant.networks.signature import BATCH, Axis, Signature, Tensor

__all__ = ["BATCH", "Axis", "Lane", "Network", "Signature", "State", "Tensor"]
