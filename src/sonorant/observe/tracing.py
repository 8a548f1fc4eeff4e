"""Traces by OpenTelemetry: one span a stage of a request. Off, and without any dependency, until `configure`.

A span's attributes hold stages, models and figures: never a word or a sound of a user, nor the message of an
error, which may quote them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from threading import Thread
from time import time_ns
from typing import Any, Protocol

from sonorant.errors import MissingExtraError

log = logging.getLogger(__name__)

VARIABLES = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""OpenTelemetry's own: where one is set, traces go there"""
SHUTDOWN_SECONDS = 5.0
Attribute = str | int | float | bool

_provider: Any = None
_tracer: Any = None


class Span(Protocol):
    """What happens between two moments."""

    def name(self, name: str) -> None:
        """Call it something else, once that is known."""
        ...

    def set(self, **attributes: Attribute) -> None: ...


class _Nothing:
    """The span where nothing is traced."""

    def __enter__(self) -> _Nothing:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def name(self, name: str) -> None:
        pass

    def set(self, **attributes: Attribute) -> None:
        pass


_NOTHING = _Nothing()


def span(name: str, **attributes: Attribute) -> AbstractContextManager[Span]:
    """A span below the one that this task or thread is in, and the one it is in until it ends.

    Not around a `yield` of a generator: what is between belongs to whoever called it.
    """
    return _NOTHING if _tracer is None else _spanning(name, None, attributes)


def request_span(name: str, traceparent: str) -> AbstractContextManager[Span]:
    """The span of a request from outside, below its caller's where `traceparent` (W3C) names one."""
    return _NOTHING if _tracer is None else _spanning(name, traceparent, {})


def record(name: str, since: int, **attributes: Attribute) -> None:
    """A span that began at `since`, as `now` told it, and ends now."""
    if _tracer is not None and since:
        _tracer.start_span(name, attributes=attributes, start_time=since).end()


def now() -> int:
    """The time in nanoseconds; 0 where nothing is traced."""
    return time_ns() if _tracer is not None else 0


def traceparent() -> str:
    """Where this task is, for another process (W3C trace context); "" where nothing is traced."""
    if _tracer is None:
        return ""
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent", "")


def resume(traceparent: str) -> None:
    """From now to its end this task belongs to the span that another process named."""
    if _tracer is not None and traceparent:
        from opentelemetry import context

        context.attach(_context_of(traceparent))


def configure(endpoint: str = "", process: str = "gateway") -> None:
    """Send the spans of this process to `endpoint`, or to where OpenTelemetry's own variables say.

    Does nothing where neither is set. `endpoint` speaks OTLP over HTTP: http://127.0.0.1:4318. The other
    variables (OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_EXPORTER_OTLP_HEADERS …) hold, too.
    Raises MissingExtraError where OpenTelemetry is not installed.
    """
    if not endpoint and not any(os.environ.get(variable) for variable in VARIABLES):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise MissingExtraError(
            "Traces need OpenTelemetry, which is not installed",
            why=f"trace.endpoint or one of {', '.join(VARIABLES)} is set",
            remedy='Install it: `pip install "sonorant[otel]"`, or unset them',
        ) from error
    named = {"service.name": os.environ.get("OTEL_SERVICE_NAME") or "sonorant", "sonorant.process": process}
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    target = f"{endpoint.rstrip('/')}/v1/traces" if endpoint else None
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(target)))
    use(provider)
    log.info("traces are sent to %s", endpoint or next(v for v in map(os.environ.get, VARIABLES) if v))


def use(provider: Any) -> None:
    """Make spans with an opentelemetry.sdk.trace.TracerProvider; None switches tracing off."""
    global _provider, _tracer
    _provider, _tracer = provider, provider and provider.get_tracer("sonorant")


def shutdown() -> None:
    """Send what has not been sent, for SHUTDOWN_SECONDS at most, and switch tracing off."""
    provider = _provider
    use(None)
    if provider is not None:
        # it waits half a minute for a collector that is silent
        sending = Thread(target=provider.shutdown, daemon=True)
        sending.start()
        sending.join(SHUTDOWN_SECONDS)


@contextmanager
def _spanning(name: str, traceparent: str | None, attributes: dict[str, Attribute]) -> Iterator[Span]:
    from opentelemetry.trace import SpanKind, StatusCode

    outside = traceparent is not None
    with _tracer.start_as_current_span(
        name,
        context=_context_of(traceparent) if traceparent else None,
        kind=SpanKind.SERVER if outside else SpanKind.INTERNAL,
        attributes=attributes,
        record_exception=False,  # its message may quote the user
        set_status_on_exception=False,
    ) as current:
        try:
            yield _Recorded(current)
        except BaseException as error:
            current.set_attribute("error.type", type(error).__name__)
            if isinstance(error, Exception):
                current.set_status(StatusCode.ERROR)
            raise


class _Recorded:
    """A Span of OpenTelemetry."""

    def __init__(self, span: Any) -> None:
        self._span = span

    def name(self, name: str) -> None:
        self._span.update_name(name)

    def set(self, **attributes: Attribute) -> None:
        self._span.set_attributes(attributes)


def _context_of(traceparent: str) -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator().extract({"traceparent": traceparent})
