"""One span a stage, from the HTTP request to the run of each network, and no word of a user in any."""

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from sonorant.errors import MissingExtraError, UnknownVoiceError
from sonorant.gateway import Gateway
from sonorant.observe import tracing
from sonorant.observe.context import adopt, request_id
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.protocols.app import create_app
from sonorant.replica import Device
from sonorant.settings import Settings
from sonorant.tasks import Described, Encoded, Load, State, Task, Terms, Voice

SECRET = "xylophone"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
"""the example of W3C's trace context"""


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter
    tracing.shutdown()


class Speaker:
    """A replica behind a process boundary: only what is in the request's terms reaches its device."""

    name, task, state, reason = "hibari", Task.SPEECH, State.READY, ""

    def __init__(self) -> None:
        self.terms = Terms()
        self.figured = Figures()

    def describe(self) -> Described:
        return Described(name="hibari", task=self.task, languages=("en",), voices=(Voice("amy", "en"),))

    def load(self) -> Load:
        return Load(slots=1)

    def figures(self):
        return (self.figured.snapshot(),)

    async def speak(self, request, text, delivery):
        self.terms = request.terms
        async for _ in text:
            pass
        elsewhere = threading.Thread(target=asyncio.run, args=(self._compute(request.terms),))
        elsewhere.start()  # a thread begins without context, as another process does
        await asyncio.to_thread(elsewhere.join)
        yield Encoded(b"audio", 1.0)

    async def _compute(self, terms: Terms) -> None:
        adopt(terms)
        device = Device("cpu", slots=1)
        for stage in ("encoder", "decoder", "encoding"):
            await device.run(Meter(self.figured, stage).timed(lambda: None))
        device.close()


def speak(app, text: str, **headers: str) -> httpx.Response:
    async def main() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
            body = {"input": text, "voice": "amy"}
            return await client.post("/v1/audio/speech", json=body, headers=headers)

    return asyncio.run(main())


def application(speaker: Speaker):
    settings = Settings()
    return create_app(Gateway([speaker], settings.limits), settings, "1.2.3")


def tree(spans: tuple[ReadableSpan, ...]) -> dict[str, str]:
    """Span → its parent, by name and stage."""
    names = {
        s.context.span_id: " ".join([s.name, *filter(None, [(s.attributes or {}).get("stage")])])
        for s in spans
    }
    return {
        names[s.context.span_id]: names.get(s.parent.span_id, "elsewhere") if s.parent else "" for s in spans
    }


def test_a_request_from_its_arrival_to_its_networks(spans):
    speaker = Speaker()
    answer = speak(application(speaker), f"The {SECRET} is here.", traceparent=CALLER)
    assert answer.content == b"audio"
    finished = spans.get_finished_spans()
    root = "POST /v1/audio/speech"
    assert tree(finished) == {
        root: "elsewhere",
        "admission": root,
        **{
            f"{what} {stage}": root
            for what in ("queue", "run")
            for stage in ("encoder", "decoder", "encoding")
        },
    }
    assert {f"{span.context.trace_id:032x}" for span in finished} == {CALLER.split("-")[1]}
    assert SECRET not in " ".join(span.to_json() for span in finished)
    served = next(span for span in finished if span.name == root)
    assert served.attributes["http.response.status_code"] == 200
    assert served.attributes["request_id"] == answer.headers["x-request-id"] == speaker.terms.id


def test_a_caller_who_names_no_span_or_nonsense(spans):
    for given in ("", "nonsense", "00-" + "0" * 32 + "-" + "0" * 16 + "-01"):
        speak(application(Speaker()), "Hello.", **({"traceparent": given} if given else {}))
    roots = [span for span in spans.get_finished_spans() if span.name.startswith("POST")]
    assert [span.parent for span in roots] == [None] * 3
    assert len({span.context.trace_id for span in roots}) == 3


def test_an_error_tells_its_kind_and_not_its_words(spans):
    with pytest.raises(UnknownVoiceError), tracing.span("run", stage="decoder"):
        raise UnknownVoiceError(f"hibari has no voice {SECRET!r}")
    [span] = spans.get_finished_spans()
    assert span.attributes == {"stage": "decoder", "error.type": "UnknownVoiceError"}
    assert not span.status.is_ok
    assert SECRET not in span.to_json()


def test_the_queue_ends_where_the_run_begins(spans):
    async def main() -> None:
        with tracing.span("request"):
            device = Device("cpu", slots=1)
            await device.run(Meter(Figures(), "decoder").timed(lambda: None))
            device.close()

    asyncio.run(main())
    queue, run, _ = spans.get_finished_spans()
    assert (queue.name, run.name) == ("queue", "run")
    assert queue.start_time <= queue.end_time <= run.start_time <= run.end_time


def test_off_it_costs_nothing_and_imports_nothing():
    code = (
        "import sys; from sonorant.observe import tracing\n"
        "tracing.configure()\n"
        "with tracing.request_span('a', '') as span, tracing.span('b', stage='c'): span.set(x=1); span.name('d')\n"
        "tracing.record('e', tracing.now()); tracing.resume('x'); tracing.shutdown()\n"
        "print(repr(tracing.traceparent()), [m for m in sys.modules if m.startswith('opentelemetry')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stdout.strip() == "'' []", done.stderr


def test_what_a_task_adopts_is_its_own(spans):
    async def served(terms: Terms) -> str:
        adopt(terms)
        await asyncio.sleep(0)
        return f"{request_id.get()} {tracing.traceparent()}"

    async def main() -> list[str]:
        terms = [Terms(id=f"r{i}", trace=f"00-{i:032x}-{i:016x}-01") for i in (1, 2)]
        return [*await asyncio.gather(*map(served, terms)), request_id.get()]

    assert asyncio.run(main()) == [f"r{i} 00-{i:032x}-{i:016x}-01" for i in (1, 2)] + [""]


def test_without_opentelemetry_it_says_how_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(MissingExtraError, match=r"sonorant\[otel\]"):
        tracing.configure("http://127.0.0.1:4318")


def test_a_silent_collector_does_not_hold_up_the_end(monkeypatch):
    silent = threading.Event()

    class Provider:
        def get_tracer(self, _: str) -> None:
            return None

        def shutdown(self) -> None:
            silent.wait(60)

    monkeypatch.setattr(tracing, "SHUTDOWN_SECONDS", 0.05)
    tracing.use(Provider())
    tracing.shutdown()
    assert not silent.is_set()
    silent.set()


@pytest.mark.parametrize("by", ["setting", "variable"])
def test_spans_arrive_at_a_collector(by, monkeypatch):
    arrived: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            arrived.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Collector)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        address = f"http://127.0.0.1:{server.server_port}"
        if by == "variable":
            monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", address)
        tracing.configure(address if by == "setting" else "", process="hibari")
        with tracing.span("run", stage="decoder"):
            pass
        tracing.shutdown()
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    [(path, body)] = arrived
    assert path == "/v1/traces"
    for name in (b"sonorant", b"hibari", b"decoder", b"run"):
        assert name in body
