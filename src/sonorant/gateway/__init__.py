"""The gateway: which replica answers, whether it is admitted, and what is counted.

It holds no model and imports nothing that computes: it sees requests, encoded bytes and text.
"""

from sonorant.gateway.admission import Admission
from sonorant.gateway.cache import Caching
from sonorant.gateway.gateway import Gateway
from sonorant.gateway.router import Router

__all__ = ["Admission", "Caching", "Gateway", "Router"]
