"""Run a function of ours in a child process of its own, under limits: what it reads may crash or hang it.

    outcome = confined(
        "sonorant.doctor.parse:summary", {"path": "x.onnx"}, title="Looking at x.onnx", seconds=60
    )

Arguments, progress and result are JSON, so nothing that a child says is executed. The child and all that it
started end with their owner: at the end of this call, when it is cancelled, and when this process dies.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import msgspec

import sonorant
from sonorant.errors import EngineError, SonorantError
from sonorant.observe.machine import memory
from sonorant.wire.messages import Fault

logger = logging.getLogger(__name__)

SHARE = 0.8
"""of this machine's memory that a child may take, where nobody says how much"""
USUAL_MEMORY = 8 << 30
"""bytes, where the machine does not tell what it has"""
_POLL = 0.05
_PATIENCE = 5.0
"""seconds for the rest of what a child said: one of its own that left its group may hold the pipe for ever"""
_LAST_WORDS = 2000
"""bytes of standard error that a failure quotes"""
_TIDYING = 10.0
"""seconds before its limit that a child may stop by itself and remove what is half made; of a short limit a
quarter"""

Progress = Callable[[float, str], None]
"""share that is done (0 to 1), what is being done"""


def confined(
    target: str,
    arguments: Mapping[str, Any],
    *,
    title: str,
    seconds: float,
    memory_bytes: int = 0,
    progress: Progress | None = None,
) -> Any:
    """What `target` ("module:function", called with `arguments` by name) returns. Blocks.

    title: what is done, as failures say it: "Reading x.onnx". memory_bytes: private memory that the child may
    have (Linux); 0 = SHARE of the machine's. Raises what the function raised, where it is one of our errors,
    and EngineError with the words of any other exception, and where the child crashed, took too long or too
    much memory.
    """
    if not memory_bytes:
        found = memory()
        memory_bytes = round(SHARE * found.limit) if found else USUAL_MEMORY
    outcome: dict[str, Any] = {}
    with (
        tempfile.TemporaryFile() as errors,
        # of one that is killed nothing stays there
        tempfile.TemporaryDirectory(prefix="sonorant-", ignore_cleanup_errors=True) as scratch,
    ):
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", __name__, target, str(memory_bytes), str(seconds)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**environment(), "TMPDIR": scratch},
            text=True,
            start_new_session=True,  # what it starts itself is ended with it
        )
        listener = threading.Thread(target=_listen, args=(child, arguments, progress, outcome), daemon=True)
        try:
            listener.start()
            deadline = time.monotonic() + seconds
            while listener.is_alive() and time.monotonic() < deadline:
                listener.join(_POLL)
                if child.poll() is not None:  # it has died; what it started may hold its output open
                    break
            late = child.poll() is None and listener.is_alive()
            if not late and not outcome.keys() & _ENDS:
                with contextlib.suppress(subprocess.TimeoutExpired):  # how it ended, not how it is ended here
                    child.wait(_PATIENCE)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            listener.join(_PATIENCE)
            for pipe in (child.stdin, child.stdout) if not listener.is_alive() else ():
                with contextlib.suppress(OSError):  # what was not read by a child that has died
                    cast(Any, pipe).close()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - _LAST_WORDS))
        said = errors.read().decode(errors="replace").strip()
    if "result" in outcome:
        return outcome["result"]
    if "error" in outcome:
        raise Fault(**outcome["error"]).error()
    logger.debug("%s: %s", title, said)
    raise _failed(title, outcome, seconds if late else 0.0, child.returncode, said)


def _failed(title: str, outcome: Mapping[str, Any], late: float, code: int, said: str) -> EngineError:
    """What is told of a child that gave no result. `late`: seconds that it had, 0 = it ended by itself."""
    more = "Allow it more time or memory, or look at the file that it was given"
    if "memory" in outcome:
        return EngineError(
            f"{title} needs more than {outcome['memory']} MiB of memory", remedy="Allow it more"
        )
    if "exception" in outcome:
        return EngineError(
            f"{title} ended with an error",
            why=outcome["exception"],
            remedy="Mend what the operating system says, and try again"
            if outcome["system"]
            else "Look at the file that it was given; if it is in order, this is a fault of Sonorant",
        )
    at = "It was at"
    words = f"Its last words: {said[-400:]}" if said else "It said nothing"
    if late:
        why = f"{at}: {outcome['doing']}" if "doing" in outcome else words
        return EngineError(f"{title} did not finish within {late:g} s", why=why, remedy=more)
    return EngineError(f"{title} ended unexpectedly ({_ending(code)})", why=words, remedy=more)


def environment() -> dict[str, str]:
    """Ours, in which a child finds this package wherever it lies."""
    package = str(Path(sonorant.__file__).parent.parent)
    path = os.pathsep.join([package, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path}


def end_with_owner() -> None:
    """Called in a child whose standard input its owner keeps open: it ends when that does."""
    threading.Thread(target=_orphaned, daemon=True).start()


def left() -> float:
    """Called by a function in its child: seconds in which it should end by itself, so that what is half made
    is removed; then its owner ends it. Where there is no such owner, as many as a thread can wait."""
    return threading.TIMEOUT_MAX if _until is None else max(0.0, _until - time.monotonic())


def report(share: float, doing: str) -> None:
    """Called by a function in its child: how far it is (0 to 1)."""
    _say({"share": share, "doing": doing})


def _listen(
    child: subprocess.Popen[str],
    arguments: Mapping[str, Any],
    progress: Progress | None,
    outcome: dict[str, Any],
) -> None:
    assert child.stdin is not None
    assert child.stdout is not None
    with contextlib.suppress(OSError, ValueError):  # it has died, or was ended: there is no outcome
        child.stdin.write(json.dumps(arguments) + "\n")
        child.stdin.flush()  # and stays open: its end tells the child that we have died
        for line in child.stdout:
            said = json.loads(line)
            outcome.update(said)
            if said.keys() & _ENDS:
                return
            if progress:
                progress(said["share"], said["doing"])


def _ending(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"


_ENDS = frozenset({"result", "error", "exception", "memory"})
"""what a child says last"""
_answers = None
"""the child's real standard output; what libraries print goes to standard error"""
_until: float | None = None
"""of time.monotonic(), in a child: when it should have ended by itself"""


def _say(message: Mapping[str, Any]) -> None:
    if _answers is not None:
        _answers.write(json.dumps(message) + "\n")
        _answers.flush()


def _fault(error: SonorantError) -> Any:
    return msgspec.to_builtins(Fault.of(error))


def _orphaned() -> None:
    sys.stdin.read()
    if os.getpgrp() == os.getpid():  # with all that it started
        os.killpg(0, signal.SIGKILL)
    os._exit(1)


def _main(target: str, memory_bytes: int, seconds: float) -> None:
    global _answers, _until
    _until = time.monotonic() + seconds - min(_TIDYING, seconds / 4)
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.platform == "linux":
        # one that is started by another such child has no more than that: only root may raise a limit
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        memory_bytes = memory_bytes if most == resource.RLIM_INFINITY else min(memory_bytes, most)
        resource.setrlimit(resource.RLIMIT_DATA, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    arguments = json.loads(sys.stdin.readline())
    end_with_owner()
    module, _, name = target.partition(":")
    try:
        _say({"result": getattr(importlib.import_module(module), name)(**arguments)})
    except SonorantError as error:
        _say({"error": _fault(error)})
    except MemoryError:
        _say({"memory": memory_bytes >> 20})
    except Exception as error:  # what nobody foresaw: a disk that cannot be written, a fault of ours
        traceback.print_exc()
        told = " ".join(f"{type(error).__name__}: {error}".split())[:_LAST_WORDS]
        _say({"exception": told, "system": isinstance(error, OSError)})
    os._exit(0)  # whatever threads or libraries are still at


if __name__ == "__main__":
    # The functions import this module by its name: they must find the same one.
    from sonorant import confined as module

    module._main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
