"""Which request the running task or thread serves."""

from __future__ import annotations

from contextvars import ContextVar

from sonorant.observe import tracing
from sonorant.tasks import Terms

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""its name in logs; "" = none is served"""


def adopt(terms: Terms) -> None:
    """In the process of a replica: all that this task does from now on is done for the request of `terms`."""
    request_id.set(terms.id)
    tracing.resume(terms.trace)
