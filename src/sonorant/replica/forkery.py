"""The process that replicas are forked from: `python -m sonorant.replica.forkery DESCRIPTOR`.

It imports what every replica needs once and stays idle, so that a replica begins in milliseconds and
shares its pages. It obeys its owner over one socket, and when the owner is gone it kills every replica:

    {"fork": N, "spec": …} + a socket ──▶ {"forked": N, "pid": P} … {"ended": P, "status": S}
                                      or {"unforked": N, "why": …}
    {"kill": P} ──▶

Orders are JSON behind four bytes of length, little endian; answers are lines of JSON, the first one "{}".
"""

from __future__ import annotations

import array
import contextlib
import ctypes
import faulthandler
import gc
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from typing import Any

LENGTH = struct.Struct("<I")
NICENESS = 5
"""below the gateway, which only passes on what is due"""
BADNESS = 500
"""of 1000: when memory ends, a replica goes before the gateway, for it can be started again"""
_PR_SET_PDEATHSIG = 1


def main(descriptor: int) -> None:
    """Obey until the owner hangs up."""
    for ours in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ours, signal.SIG_IGN)  # the owner decides: it may still be draining
    from sonorant.replica import process

    process.preload()
    gc.freeze()
    owner = socket.socket(fileno=descriptor)
    wake, waker = socket.socketpair()
    waker.setblocking(False)
    signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: set[int] = set()
    owner.sendall(b"{}\n")
    try:
        while True:
            ready, _, _ = select.select([owner, wake], [], [])
            if wake in ready:
                wake.recv(4096)
                _reap(owner, children)
            if owner in ready:
                order, descriptors = _order(owner)
                if order is None:
                    return
                if "fork" in order:
                    try:
                        pid = _fork(order, descriptors, (owner, wake, waker))
                    except OSError as error:  # no memory, no more processes: those that are there go on
                        _tell(owner, {"unforked": order["fork"], "why": str(error)})
                    else:
                        children.add(pid)
                        _tell(owner, {"forked": order["fork"], "pid": pid})
                    for descriptor in descriptors:
                        os.close(descriptor)
                elif order.get("kill") in children:
                    os.kill(order["kill"], signal.SIGKILL)
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)


def _order(owner: socket.socket) -> tuple[dict[str, Any] | None, list[int]]:
    """The next order and the sockets beside it; None when the owner is gone."""
    head, control, _, _ = owner.recvmsg(LENGTH.size, socket.CMSG_LEN(4), socket.MSG_WAITALL)
    descriptors = array.array("i")
    for level, kind, content in control:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content)
    if len(head) < LENGTH.size:
        return None, []
    (length,) = LENGTH.unpack(head)
    body = owner.recv(length, socket.MSG_WAITALL)
    return (json.loads(body) if len(body) == length else None), list(descriptors)


def _reap(owner: socket.socket, children: set[int]) -> None:
    for pid in tuple(children):
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            children.discard(pid)
            _tell(owner, {"ended": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(owner: socket.socket, news: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # it has gone: the loop sees that next
        owner.sendall(json.dumps(news).encode() + b"\n")


def _fork(order: dict[str, Any], descriptors: list[int], ours: tuple[socket.socket, ...]) -> int:
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        for link in ours:
            link.close()
        _settle_in()
        from sonorant.replica import process

        process.run(socket.socket(fileno=descriptors[0]), str(order["spec"]))
        status = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _settle_in() -> None:
    """What a replica is to its machine: less urgent than the gateway, and never its orphan."""
    faulthandler.enable()
    os.nice(NICENESS)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write(str(BADNESS))


if __name__ == "__main__":
    main(int(sys.argv[1]))
