"""The report's pieces as a Chrome trace: Perfetto and chrome://tracing open it.

Trace Event Format: complete events ("ph": "X") of microseconds; those of one thread nest by their times.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sonorant.prepare.profile.host import Watched
from sonorant.prepare.profile.ort_trace import Run
from sonorant.prepare.profile.tally import Request, runs_within
from sonorant.prepare.profile.timeline import Piece

PROCESS, REQUESTS = 1, 0
"""pid, and the thread on which requests are drawn"""


def trace(
    requests: Sequence[Request], pieces: Sequence[Piece], networks: Iterable[Watched]
) -> dict[str, Any]:
    """Requests, and on the threads of the device stages ⊃ runs of networks ⊃ operators."""
    start = min((request.began for request in requests), default=0.0)
    events = [_named("process_name", REQUESTS, "sonorant"), _named("thread_name", REQUESTS, "requests")]
    threads = sorted({piece.thread for piece in pieces})
    events += [_named("thread_name", t, f"device slot {i + 1}") for i, t in enumerate(threads)]
    for i, request in enumerate(requests):
        events.append(_event("request", f"request {i + 1}", request.began - start, request.seconds, REQUESTS))
    for piece in pieces:
        seconds = piece.ended - piece.began
        events.append(_event("stage", piece.stage, piece.began - start, seconds, piece.thread))
    for watched in networks:
        for run in runs_within(watched, requests):
            around = next(
                (p for p in pieces if p.thread == run.thread and p.began <= run.ended <= p.ended + 1e-5), None
            )
            began, ended = run.began, run.ended
            if around is not None:  # the engine's clock counts whole microseconds
                began, ended = max(began, around.began), min(ended, around.ended)
            events.append(_event("network", watched.name, began - start, ended - began, run.thread))
            events += _operators(run, began, ended, start)
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def _operators(run: Run, began: float, ended: float, start: float) -> Iterable[dict[str, Any]]:
    for operator in run.operators:
        first = min(max(operator.began, began), ended)
        last = min(operator.began + operator.seconds, ended)
        event = _event("operator", operator.kind, first - start, max(0.0, last - first), run.thread)
        event["args"] = {
            "node": operator.name,
            "outputs": [list(shape) for shape in operator.outputs],
            "flops": operator.work.flops,
            "bytes": operator.work.bytes,
        }
        yield event


def _event(category: str, name: str, began: float, seconds: float, thread: int) -> dict[str, Any]:
    times = {"ts": round(began * 1e6, 3), "dur": round(seconds * 1e6, 3)}
    return {"ph": "X", "cat": category, "name": name, "pid": PROCESS, "tid": thread, **times}


def _named(what: str, thread: int, name: str) -> dict[str, Any]:
    return {"ph": "M", "name": what, "pid": PROCESS, "tid": thread, "args": {"name": name}}


def check(path: Path) -> None:
    """That a trace can be written there, before anything is measured for it. Raises RequestError."""
    from sonorant.errors import unwritable

    new = not path.exists()
    try:
        path.open("ab").close()
        if new:
            path.unlink()
    except OSError as error:
        raise unwritable(path, error, param="trace") from error


def write(path: Path, tree: dict[str, Any]) -> None:
    """Raises RequestError."""
    import json

    from sonorant.errors import unwritable

    try:
        path.write_text(json.dumps(tree, ensure_ascii=False), encoding="utf-8")
    except OSError as error:
        raise unwritable(path, error) from error
