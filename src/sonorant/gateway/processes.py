"""Processes of replicas: begun, watched to their end, and ended, through one process that forks them.

That process is `python -m sonorant.replica.forkery`; it ends all of them when this one is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from itertools import count
from pathlib import Path

import sonorant
from sonorant.errors import EngineError, LostError

FORKERY = "sonorant.replica.forkery"
START_SECONDS = 60.0
"""for the forkery to import what replicas need; 1 s on an idle machine"""
FORK_SECONDS = 10.0
STOP_SECONDS = 10.0


class Process:
    """A replica's process."""

    def __init__(self, pid: int, link: socket.socket, forkery: Forkery) -> None:
        self.pid, self.link, self._forkery = pid, link, forkery
        self.ended: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """its exit status; negative = the signal that ended it"""

    def kill(self) -> None:
        """End it at once, whatever it does."""
        self._forkery.kill(self.pid)


def death(status: int) -> LostError:
    """How a process ended, from its exit status."""
    if status >= 0:
        return LostError(
            f"The process of the model ended with status {status}", remedy="Its own words are in the log"
        )
    try:
        name = signal.Signals(-status).name
    except ValueError:
        name = str(-status)
    return LostError(
        f"The process of the model was ended by the signal {name}",
        why="The operating system does that when memory runs out" if name == "SIGKILL" else "",
    )


class Forkery:
    """The owner's side of the process that replicas are forked from. It is started when it is needed."""

    def __init__(self) -> None:
        self._popen: subprocess.Popen[bytes] | None = None
        self._orders: socket.socket | None = None
        self._numbers = count(1)
        self._starting = asyncio.Lock()
        self._listening: asyncio.Task[None] | None = None
        self._forking: dict[int, tuple[asyncio.Future[Process], socket.socket]] = {}
        self._processes: dict[int, Process] = {}

    async def spawn(self, spec: str) -> Process:
        """A new replica. spec: see `sonorant.replica.process.run`. Raises EngineError."""
        try:
            async with self._starting:
                if self._orders is None:
                    await self._start()
            ours, theirs = socket.socketpair()
        except OSError as error:  # no descriptors, no memory
            raise _unstarted(str(error)) from error
        number = next(self._numbers)
        forked: asyncio.Future[Process] = asyncio.get_running_loop().create_future()
        self._forking[number] = forked, ours
        try:
            with theirs:
                self._order({"fork": number, "spec": spec}, [theirs.fileno()])
            async with asyncio.timeout(FORK_SECONDS):
                return await forked
        except (TimeoutError, OSError) as error:
            ours.close()
            raise _unstarted(str(error) or "there is no answer") from error
        except BaseException:
            ours.close()  # a process that has begun ends with it
            raise
        finally:
            self._forking.pop(number, None)

    def kill(self, pid: int) -> None:
        """End one of its replicas; others are ignored."""
        if pid in self._processes:
            with suppress(OSError):  # it has gone, and its replicas with it
                self._order({"kill": pid})

    async def close(self) -> None:
        """End it and all its replicas."""
        popen, self._popen = self._popen, None
        if self._orders is not None:
            self._orders.shutdown(socket.SHUT_RDWR)
        if self._listening is not None:
            await asyncio.wait({self._listening}, timeout=STOP_SECONDS)
        if popen is not None:
            await asyncio.to_thread(_end, popen)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        package = str(Path(sonorant.__file__).parent.parent)
        path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        with theirs:
            self._popen = subprocess.Popen(  # noqa: ASYNC220 - it returns once the child runs
                [sys.executable, "-P", "-m", FORKERY, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(path)},
            )
        self._orders = ours.dup()  # the stream below reads; orders carry sockets, which streams cannot
        writer: asyncio.StreamWriter | None = None
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
            async with asyncio.timeout(START_SECONDS):
                ready = await reader.readline()
        except TimeoutError:
            ready = b""
        except BaseException:  # who waited for it is gone; the next one starts another
            _close(writer, ours)
            self._gone()
            raise
        if not ready or writer is None:
            _close(writer, ours)
            self._gone()
            raise _unstarted("their parent ended or stayed silent; its own words are on standard error")
        self._listening = asyncio.create_task(self._listen(reader, writer))

    def _order(self, order: dict[str, object], descriptors: list[int] | None = None) -> None:
        if self._orders is None:
            raise ConnectionError("their parent process has ended")
        body = json.dumps(order).encode()
        data = len(body).to_bytes(4, "little") + body
        sent = socket.send_fds(self._orders, [data], descriptors or [])
        if sent < len(data):  # some hundred bytes into an empty buffer
            raise ConnectionError("their parent process does not listen")

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while line := await reader.readline():
                news = json.loads(line)
                if "forked" in news:
                    self._forked(news["forked"], news["pid"])
                elif "unforked" in news:
                    waiting, _ = self._forking.get(news["unforked"], (None, None))
                    if waiting is not None and not waiting.done():
                        waiting.set_exception(OSError(news["why"]))
                elif process := self._processes.pop(news["ended"], None):
                    process.ended.set_result(news["status"])
        writer.close()
        self._gone()

    def _forked(self, number: int, pid: int) -> None:
        waiting, link = self._forking.get(number, (None, None))
        if waiting is None or link is None or waiting.done():
            self._order({"kill": pid})  # nobody waits for it any more
            return
        self._processes[pid] = process = Process(pid, link, self)
        waiting.set_result(process)

    def _gone(self) -> None:
        """It ended, and every replica with it."""
        if self._orders is not None:
            self._orders.close()
            self._orders = None
        if self._popen is not None and self._popen.poll() is None:
            self._popen.kill()
        for forked, _ in self._forking.values():
            if not forked.done():
                forked.set_exception(ConnectionError("their parent process has ended"))
        for process in self._processes.values():
            process.ended.set_result(-signal.SIGKILL)
        self._processes.clear()


def _close(writer: asyncio.StreamWriter | None, link: socket.socket) -> None:
    if writer is not None:
        writer.close()
    else:
        link.close()


def _end(popen: subprocess.Popen[bytes]) -> None:
    try:
        popen.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        popen.kill()
        popen.wait()


def _unstarted(why: str) -> EngineError:
    return EngineError(
        "A model's process could not be started",
        why=why,
        remedy="Look for the operating system's reason (memory, number of processes), and restart the server",
    )
