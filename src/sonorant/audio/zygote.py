"""The process that decoders are forked from, and what a decoder does.

    owner (sandbox.Sandbox) ──stdin: pids to kill, end of file = end all──▶ zygote ──forks──▶ children
            └────────────── one connection an upload: job and file in, audio out ──────────────▶ child

The zygote imports numpy, PyAV and soxr once, stays single-threaded, and keeps some children forked ahead,
waiting at one listening socket. Each child serves one upload under limits and exits. `python -m
sonorant.audio.zygote SPARE CONCURRENT MEMORY_BYTES` prints the socket's path when it is ready.

Everything that a child says is a frame: kind (1 byte), size of the rest (4 bytes, little endian), the rest.
"""

from __future__ import annotations

import gc
import json
import os
import resource
import select
import selectors
import signal
import socket
import struct
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

from sonorant.audio.decoding import Job, decode, warm_up
from sonorant.errors import AudioError, RequestError

HEADER = struct.Struct("<cI")
PID = struct.Struct("=i")
HELLO, AUDIO, ERROR, END = b"H", b"A", b"E", b"Z"

_BACKLOG = 1024  # uploads that wait for a child
_PAUSE = (
    0.06  # seconds without news before a spare is forked: not while its sibling decodes or speech is encoded
)


@dataclass(slots=True)
class _Child:
    pid: int
    link: socket.socket
    """says one byte when the child has taken an upload, and ends when it ends"""
    busy: bool = False


def main(spare: int, concurrent: int, memory_bytes: int) -> None:
    """Run until standard input ends; then kill every child."""
    for ours in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ours, signal.SIG_IGN)  # the owner decides: it may still be draining
    warm_up()
    gc.freeze()
    address_space = memory_bytes
    if sys.platform == "linux":
        address_space += int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with tempfile.TemporaryDirectory(prefix="sonorant-") as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/s")
        listener.listen(_BACKLOG)
        listener.setblocking(False)
        os.write(sys.stdout.fileno(), f"{folder}/s\n".encode())  # at once and whole, unlike print
        children: dict[int, _Child] = {}
        try:
            _tend(children, listener, spare, concurrent, address_space)
        finally:
            for pid in children:
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)


def _tend(
    children: dict[int, _Child], listener: socket.socket, spare: int, concurrent: int, address_space: int
) -> None:
    events = selectors.PollSelector()  # unlike epoll it is no file that children would inherit
    events.register(sys.stdin, selectors.EVENT_READ)
    quiet = True
    while True:
        idle = sum(not child.busy for child in children.values())
        wanted = idle < spare and len(children) < concurrent
        if wanted and (quiet or not idle):
            child = _fork(listener, address_space, list(children.values()))
            children[child.pid] = child
            events.register(child.link, selectors.EVENT_READ, child)
            continue
        ready = events.select(_PAUSE if wanted else None)
        quiet = not ready
        for key, _ in ready:
            if key.data is None:
                orders = os.read(sys.stdin.fileno(), 1024 * PID.size)
                if not orders:
                    return
                for (pid,) in PID.iter_unpack(orders):
                    if pid in children:
                        os.kill(pid, signal.SIGKILL)
            elif key.data.link.recv(1):
                key.data.busy = True
            else:
                events.unregister(key.data.link)
                key.data.link.close()
                os.waitpid(key.data.pid, 0)
                del children[key.data.pid]


def _fork(listener: socket.socket, address_space: int, others: list[_Child]) -> _Child:
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid:
        theirs.close()
        return _Child(pid, ours)
    status = 1
    try:
        ours.close()
        for other in others:
            other.link.close()
        warm_up()  # the child's own copies of the pages: half of what a short upload would cost
        if connection := _accept(listener, theirs):
            theirs.send(b"!")
            _serve(connection, address_space)
        status = 0
    except (BrokenPipeError, ConnectionResetError):
        status = 0  # nobody wants the audio any more
    except Exception:
        sys.excepthook(*sys.exc_info())  # a fault of ours; the owner sees the connection end
    finally:
        os._exit(status)


def _accept(listener: socket.socket, link: socket.socket) -> socket.socket | None:
    """The next upload's connection, or None when the zygote has died."""
    waiting = select.poll()
    waiting.register(listener, select.POLLIN)
    waiting.register(link, select.POLLIN)
    while True:
        if any(fd == link.fileno() for fd, _ in waiting.poll()):
            return None
        try:
            connection, _ = listener.accept()
        except BlockingIOError:  # another child was faster
            continue
        connection.setblocking(True)
        listener.close()
        return connection


def _serve(connection: socket.socket, address_space: int) -> None:
    _send(connection, HELLO, PID.pack(os.getpid()))
    prefix, files, _, _ = socket.recv_fds(connection, 4, 1)
    if not files:
        return  # the sender left before a child was free
    job = Job(**json.loads(connection.recv(int.from_bytes(prefix, "little"), socket.MSG_WAITALL)))
    with open(files[0], "rb") as file:
        _restrict(address_space, cpu_seconds=60 + int(job.max_seconds / 20))
        try:
            for samples in decode(file, job):
                _send(connection, AUDIO, samples.tobytes())
        except RequestError as error:
            _send_error(connection, error)
        except MemoryError:
            _send_error(connection, too_hungry())
        else:
            _send(connection, END, b"")


def _restrict(address_space: int, cpu_seconds: int) -> None:
    """From here on nothing can be opened, written or started."""
    limits = {
        resource.RLIMIT_CPU: cpu_seconds,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: 0,
    }
    if sys.platform == "linux":  # macOS does not honour it
        limits[resource.RLIMIT_AS] = address_space
    for kind, limit in limits.items():
        resource.setrlimit(kind, (limit, limit))


def too_hungry() -> AudioError:
    """What is said of an upload whose child ran into its limits."""
    return AudioError(
        "The file cannot be decoded",
        why="It is damaged, or needs more memory or time than allowed",
        remedy="Convert it to wav or flac and send that",
        param="file",
    )


def _send_error(connection: socket.socket, error: RequestError) -> None:
    parts = {"what": error.what, "why": error.why, "remedy": error.remedy, "param": error.param}
    _send(connection, ERROR, json.dumps({"kind": type(error).__name__} | parts).encode())


def _send(connection: socket.socket, kind: bytes, data: bytes) -> None:
    connection.sendall(HEADER.pack(kind, len(data)) + data)


def request(job: Job) -> bytes:
    """What the owner sends beside the open file: size (4 bytes, little endian) and the job as JSON."""
    data = json.dumps(asdict(job)).encode()
    return len(data).to_bytes(4, "little") + data


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
