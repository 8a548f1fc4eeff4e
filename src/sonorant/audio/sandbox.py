"""Decode uploads in disposable child processes, each under limits and each for one upload only."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np

import sonorant
from sonorant.audio import wav, zygote
from sonorant.audio.decoding import MIN_SECONDS, Job
from sonorant.errors import AudioError, EngineError, LimitError, RequestError
from sonorant.tasks import AudioChunk, Upload

_START_SECONDS = 30.0  # until a zygote must be ready; 0.3 s on an idle machine
_WAIT_SECONDS = 60.0  # for a free child when all are busy
_STOP_SECONDS = 5.0  # for a zygote to end its children
_DYING_SECONDS = 1.0  # for one that refuses a connection to be known as dead
_SLICE = 1 << 20  # bytes copied before the event loop gets its turn
_LONGEST_ERROR = 1 << 16  # bytes

_ERRORS: dict[str, type[RequestError]] = {"AudioError": AudioError, "LimitError": LimitError}


class Sandbox:
    """Decoders, forked ahead of need from one process that this object owns.

    It may be used from any event loop, one after another or several at once. Whatever becomes of this
    process, its decoders end with it.
    """

    def __init__(
        self, *, spare: int = 2, concurrent: int = 8, memory_bytes: int = 1 << 30, idle_seconds: float = 20.0
    ) -> None:
        """`spare` children wait ready, at most `concurrent` exist; further uploads wait for one.

        A child may use `memory_bytes` more than it was born with (not limited on macOS) and is killed
        when it has said nothing for `idle_seconds` while audio was awaited.
        """
        self._limits = (spare, concurrent, memory_bytes)
        self._idle_seconds = idle_seconds
        self._zygote: _Zygote | None = None
        self._lock = threading.Lock()

    async def start(self) -> None:
        """Start the processes, if they do not run. Raises EngineError if they cannot."""
        await self._running()

    async def close(self) -> None:
        """End every process. Decodes still running fail; a later `decode` starts afresh."""
        await asyncio.to_thread(self._stop)

    async def decode(
        self, upload: Upload, *, sample_rate: int = 16000, max_seconds: float, chunk_seconds: float = 4.0
    ) -> AsyncGenerator[AudioChunk, None]:
        """Yield the audio of `upload`: one channel at `sample_rate` hertz, in chunks of `chunk_seconds`.

        What is decoded and how is told at `decoding.decode`. Closing the iterator, or cancelling who
        awaits it, kills the child; plain PCM needs none (`wav.decode`). Raises AudioError for what cannot
        be decoded, LimitError for audio longer than `max_seconds` or when no child came free in time.
        """
        job = Job(upload.name[-64:], sample_rate, max_seconds, chunk_seconds)
        with (
            BytesIO(upload.source) if isinstance(upload.source, bytes) else upload.source.open("rb") as plain
        ):
            if (chunks := wav.decode(plain, job)) is not None:
                while (samples := await asyncio.to_thread(next, chunks, None)) is not None:
                    yield AudioChunk(samples, sample_rate)
                return
        largest = max(4 * round(max(chunk_seconds, MIN_SECONDS) * sample_rate), _LONGEST_ERROR)
        with await _file(upload) as file:
            child = await self._engage(job, file)
        try:
            while (frame := await child.receive(largest, self._idle_seconds))[0] == zygote.AUDIO:
                yield AudioChunk(np.frombuffer(frame[1], np.float32), sample_rate)
            if frame[0] == zygote.ERROR:
                raise _error(frame[1])
        finally:
            child.close()

    async def _engage(self, job: Job, file: BinaryIO) -> _Child:
        """A child that has begun with the job."""
        for _ in range(2):  # a zygote that died is replaced once
            running = await self._running()
            child = _Child(running)
            try:
                await child.greet(_WAIT_SECONDS)
                child.send(job, file)
                return child
            except TimeoutError:
                child.close()
                raise LimitError(
                    "Too many recordings are being decoded", remedy="Send it again in a while"
                ) from None
            except OSError:
                child.close()
                await asyncio.to_thread(running.wait, _DYING_SECONDS)
            except BaseException:
                child.close()
                raise
        raise EngineError(
            "The audio decoders do not answer",
            why="Their process ended unexpectedly",
            remedy="Look for the operating system's reason (out of memory?) and try again",
        )

    async def _running(self) -> _Zygote:
        current = self._zygote
        return current if current and current.alive else await asyncio.to_thread(self._start)

    def _start(self) -> _Zygote:
        with self._lock:
            if self._zygote is None or not self._zygote.alive:
                if self._zygote is not None:
                    self._zygote.stop()
                self._zygote = _Zygote(*self._limits)
            return self._zygote

    def _stop(self) -> None:
        with self._lock:
            if self._zygote is not None:
                self._zygote.stop()
                self._zygote = None


class _Zygote:
    """The process that decoders are forked from; see `sonorant.audio.zygote`."""

    def __init__(self, *limits: int) -> None:
        package = str(Path(sonorant.__file__).parent.parent)
        path = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        single = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", zygote.__name__, *map(str, limits)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={**os.environ, **single, "PYTHONPATH": os.pathsep.join(path)},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._orders, output = self._process.stdin, self._process.stdout
        os.set_blocking(self._orders.fileno(), False)
        self._end = weakref.finalize(
            self, _end, self._process, self._orders
        )  # at the latest when Python ends
        ready = select.poll()
        ready.register(output, select.POLLIN)
        self.address = output.read(4096).decode().strip() if ready.poll(_START_SECONDS * 1000) else ""
        output.close()
        if not self.address:
            self.stop()
            raise EngineError(
                "The audio decoders could not be started",
                why="Their process ended or stayed silent; its own words are on standard error",
                remedy=f"Try `{sys.executable} -c 'import av, soxr'`",
            )

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> None:
        """Until it has ended: one that dies refuses connections before it counts as dead. Blocks."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def kill(self, pid: int) -> None:
        """End one of its children; other pids are ignored."""
        # Where the order cannot be given, the closed connection ends the child at its next word.
        with contextlib.suppress(OSError, ValueError):
            self._orders.write(zygote.PID.pack(pid))

    def stop(self) -> None:
        """End it and its children; blocks for at most some seconds."""
        self._end()


def _end(process: subprocess.Popen[bytes], orders: IO[bytes]) -> None:
    orders.close()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class _Child:
    """The connection to one decoder."""

    def __init__(self, owner: _Zygote) -> None:
        self._owner = owner
        self._pid: int | None = None
        """None = not known yet, or ended of itself"""
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.setblocking(False)

    async def greet(self, seconds: float) -> None:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(self._socket, self._owner.address)
            _, hello = await self._frame(zygote.PID.size)
        (self._pid,) = zygote.PID.unpack(hello)

    def send(self, job: Job, file: BinaryIO) -> None:
        # Never blocks: it is the first message on this connection, and smaller than any socket's buffer.
        socket.send_fds(self._socket, [zygote.request(job)], [file.fileno()])

    async def receive(self, largest: int, seconds: float) -> tuple[bytes, bytearray]:
        """The next frame's kind and content. Raises AudioError when the child has died or is silent."""
        try:
            async with asyncio.timeout(seconds):
                kind, data = await self._frame(largest)
        except TimeoutError:
            raise zygote.too_hungry() from None
        except OSError as error:
            self._pid = None
            raise zygote.too_hungry() from error
        if kind != zygote.AUDIO:
            self._pid = None
        return kind, data

    async def _frame(self, largest: int) -> tuple[bytes, bytearray]:
        kind, size = zygote.HEADER.unpack(await self._read(zygote.HEADER.size))
        if size > largest:
            raise ConnectionError("a decoder does not speak as it should")
        return kind, await self._read(size)

    async def _read(self, size: int) -> bytearray:
        loop = asyncio.get_running_loop()
        data = bytearray(size)
        rest = memoryview(data)
        while rest:
            count = await loop.sock_recv_into(self._socket, rest)
            if not count:
                raise ConnectionError("a decoder has ended")
            rest = rest[count:]
        return data

    def close(self) -> None:
        """Hang up, and kill the child if it is still at work."""
        self._socket.close()
        if self._pid is not None:
            self._owner.kill(self._pid)


async def _file(upload: Upload) -> BinaryIO:
    """The upload as an open file, to hand over: it costs the child no memory, whatever its size."""
    file = _open(upload.source)
    try:
        if isinstance(upload.source, bytes):
            view = memoryview(upload.source)
            for start in range(0, len(view), _SLICE):
                file.write(view[start : start + _SLICE])
                await asyncio.sleep(0)
            file.seek(0)
        if not os.fstat(file.fileno()).st_size:
            raise AudioError(
                "The audio is empty",
                why="The file has no bytes",
                remedy="Send the recording itself",
                param="file",
            )
    except BaseException:
        file.close()
        raise
    return file


def _open(source: bytes | Path) -> BinaryIO:
    if isinstance(source, Path):
        return source.open("rb")
    if sys.platform == "linux":
        return os.fdopen(os.memfd_create("upload"), "w+b")
    return tempfile.TemporaryFile()


def _error(data: bytearray) -> RequestError:
    parts = json.loads(data)
    kind = _ERRORS[parts.pop("kind")]
    return kind(parts.pop("what"), **parts)
