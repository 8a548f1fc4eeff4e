"""The processes of a server on this machine: the memory that they hold and the CPU time that they take."""

from __future__ import annotations

import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from time import monotonic, thread_time

import psutil

SAMPLE_SECONDS = 0.02
FAMILY_SECONDS = 1.0
"""how often children are looked for: it reads the names of all processes"""
NVIDIA_SECONDS = 10.0
"""the longest that nvidia-smi may take"""

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess, psutil.AccessDenied)


@dataclass
class Peak:
    """What was seen while a load ran."""

    memory: int = 0
    """bytes"""
    cpu: float = 0.0
    """seconds of CPU that looking took"""


class Processes:
    """Processes and all below them."""

    def __init__(self, *pids: int) -> None:
        """Raises psutil.NoSuchProcess."""
        self._roots = [psutil.Process(pid) for pid in pids]

    def family(self) -> list[psutil.Process]:
        """Those that live now."""
        found = {root.pid: root for root in self._roots}
        for root in self._roots:
            with suppress(*_GONE):
                found |= {child.pid: child for child in root.children(recursive=True)}
        return list(found.values())

    def memory(self) -> int:
        """Bytes that they hold. Pages that they share count once, where the system tells (Linux)."""
        return sum(map(_proportional, self.family()))

    def cpu(self) -> float:
        """Seconds of CPU that they and their ended children have taken."""
        return sum(map(_cpu, self.family()))

    def root_cpu(self) -> float:
        """Seconds of CPU that the topmost took: the gateway, where replicas are processes of their own."""
        return sum(_own_cpu(root) for root in self._roots)

    def device_memory(self) -> int | None:
        """Bytes of GPU memory, as nvidia-smi says; None where it is not there or cannot tell."""
        if not shutil.which("nvidia-smi"):
            return None
        command = ["nvidia-smi", "--query-compute-apps=pid,used_gpu_memory", "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=NVIDIA_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return None
        pids = {process.pid for process in self.family()}
        held = None
        for line in done.stdout.splitlines():
            pid, _, mebibytes = line.partition(",")
            if pid.strip().isdigit() and int(pid) in pids and mebibytes.strip().isdigit():
                held = (held or 0) + int(mebibytes) * 2**20
        return held

    @contextmanager
    def watched(self) -> Iterator[Peak]:
        """Watch the memory meanwhile; the result is complete at the end.

        `memory()` is exact and takes milliseconds, so it is asked for before; what comes on top is followed
        by resident sizes, which cost microseconds.
        """
        peak = Peak(self.memory())
        base = peak.memory - self._resident(self.family())
        ended = threading.Event()

        def watch() -> None:
            family, looked = self.family(), monotonic()
            while not ended.wait(SAMPLE_SECONDS):
                if monotonic() - looked > FAMILY_SECONDS:
                    family, looked = self.family(), monotonic()
                peak.memory = max(peak.memory, base + self._resident(family))
            peak.cpu = thread_time()

        thread = threading.Thread(target=watch, name="sonorant-bench-memory", daemon=True)
        thread.start()
        try:
            yield peak
        finally:
            ended.set()
            thread.join()

    def _resident(self, family: list[psutil.Process]) -> int:
        return sum(map(_resident, family))


def listening(host: str, port: int) -> list[int]:
    """The processes that listen at an address of this machine; none for those of others."""
    addresses = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::"}  # noqa: S104
    addresses |= {one.address for ones in psutil.net_if_addrs().values() for one in ones}
    if host not in addresses:
        return []
    try:
        connections = psutil.net_connections("tcp")
    except psutil.AccessDenied:  # macOS asks for root
        return []
    pids = {c.pid for c in connections if c.status == psutil.CONN_LISTEN and c.laddr.port == port and c.pid}
    return sorted(pids - _children_of(pids))


def _children_of(pids: set[int]) -> set[int]:
    """A socket is inherited: its owner is the topmost that has it."""
    below: set[int] = set()
    for pid in pids:
        with suppress(*_GONE):
            below |= {child.pid for child in psutil.Process(pid).children(recursive=True)}
    return below


def _proportional(process: psutil.Process) -> int:
    with suppress(*_GONE):
        full = process.memory_full_info()
        return int(getattr(full, "pss", full.rss))
    return _resident(process)


def _resident(process: psutil.Process) -> int:
    with suppress(*_GONE):
        return int(process.memory_info().rss)
    return 0


def _own_cpu(process: psutil.Process) -> float:
    with suppress(*_GONE):
        times = process.cpu_times()
        return float(times.user + times.system)
    return 0.0


def _cpu(process: psutil.Process) -> float:
    with suppress(*_GONE):
        times = process.cpu_times()
        return float(sum(times[:4]))  # with those of children that have ended
    return 0.0
