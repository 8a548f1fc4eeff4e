"""A benchmark: loads one after the other, and what each of them showed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from functools import partial
from math import inf
from typing import Any

from sonorant.bench.asking import Ask
from sonorant.bench.figures import Figures, figures
from sonorant.bench.loads import Bounds, Ran, closed, open_loop
from sonorant.bench.processes import Processes
from sonorant.errors import ServerError

WARM_UP = 3
"""requests before the first load; they count nowhere"""


@dataclass(frozen=True)
class Plan:
    """Which loads: closed loops first, then open ones."""

    clients: tuple[int, ...]
    bounds: Bounds
    rates: tuple[float, ...] = ()
    """open loops, requests a second"""
    shares: tuple[float, ...] = ()
    """open loops, as shares of the capacity that the closed ones have shown"""
    seed: int = 0
    warm_up_seconds: float = inf
    """no request of the warm-up begins later than this; 0 = it is warm"""


@dataclass(frozen=True)
class Load:
    """One load and its figures. Memory in bytes; None = the server's processes cannot be seen from here."""

    clients: int | None
    """of a closed loop"""
    rate: float | None
    """of an open loop, requests a second"""
    share: float | None
    """of the capacity, where that was asked for"""
    figures: Figures
    generator_cpu: float
    """CPU that the load generator took, as a share of one core"""
    server_cpu: float | None = None
    """seconds of CPU that the server took a request"""
    gateway_cpu: float | None = None
    """and its topmost process alone"""
    memory_before: int | None = None
    memory_peak: int | None = None
    memory_after: int | None = None
    device_memory: int | None = None
    """of a GPU, when the load had ended"""


@dataclass(frozen=True)
class Report:
    """What a benchmark found."""

    memory_loaded: int | None
    """bytes before the first request: of a fresh server, what its models take when they are loaded"""
    loads: tuple[Load, ...]
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def closed(self) -> list[Load]:
        """The closed loops, the fewest clients first."""
        return sorted((one for one in self.loads if one.clients), key=lambda one: one.clients or 0)

    @property
    def capacity(self) -> float:
        """Requests a second: the most that a closed loop has shown."""
        return max((one.figures.throughput for one in self.closed), default=0.0)

    @property
    def memory_a_request(self) -> int | None:
        """Bytes that one client alone makes the server hold more than before the first request."""
        alone = next((one for one in self.closed if one.clients == 1), None)
        if alone is None or alone.memory_peak is None or self.memory_loaded is None:
            return None
        return alone.memory_peak - self.memory_loaded

    @property
    def memory_a_client(self) -> int | None:
        """Bytes that each client more adds to the peak, from the fewest clients to the most."""
        ends = self.closed[:1] + self.closed[-1:]
        if len(self.closed) < 2 or any(one.memory_peak is None for one in ends):
            return None
        few, many = ends
        return round(
            ((many.memory_peak or 0) - (few.memory_peak or 0)) / ((many.clients or 0) - (few.clients or 0))
        )

    @property
    def concurrent(self) -> int:
        """The most clients of a closed loop of which none was refused, failed or hung."""
        served = (one for one in self.closed if one.figures.ok == one.figures.requests > 0)
        return max((one.clients or 0 for one in served), default=0)

    @property
    def most_clients(self) -> int:
        """Of all closed loops; 0 = there was none."""
        return max((one.clients or 0 for one in self.closed), default=0)

    def tree(self) -> dict[str, Any]:
        """All of it, for JSON."""
        derived = ("memory_a_request", "memory_a_client", "capacity", "concurrent")
        return asdict(self) | {name: getattr(self, name) for name in derived}


async def run(
    ask: Ask,
    plan: Plan,
    processes: Processes | None = None,
    *,
    own: bool = False,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Run the loads of a plan one after the other. `own`: `processes` are this one, with the model in it.

    Raises ServerError where not even one request succeeds before.
    """
    loaded = processes.memory() if processes else None
    progress("warm-up")
    if plan.warm_up_seconds:
        await _warm_up(ask, Bounds(plan.warm_up_seconds, WARM_UP, plan.bounds.hang_seconds))
    loads: list[Load] = []
    for clients in plan.clients:
        progress(f"{clients} clients" if clients > 1 else "1 client")
        load = partial(closed, ask, clients, plan.bounds)
        loads.append(await _measured(load, processes, own, clients=clients))
    capacity = Report(loaded, tuple(loads)).capacity
    if plan.shares and not capacity:
        raise ServerError(
            "No request of the closed loops was answered, so there is no capacity to take a share of",
            why="; ".join(reason for load in loads for reason in load.figures.reasons),
            remedy="Look at the server's log, or name a rate with --rate",
        )
    wanted: list[tuple[float | None, float]] = [(None, rate) for rate in plan.rates]
    wanted += [(share, share * capacity) for share in plan.shares]
    for share, rate in wanted:
        progress(f"{rate:.3g} requests/s")
        load = partial(open_loop, ask, rate, plan.bounds, plan.seed)
        loads.append(await _measured(load, processes, own, rate=rate, share=share))
    return Report(loaded, tuple(loads))


async def _warm_up(ask: Ask, bounds: Bounds) -> None:
    ran = await closed(ask, 1, bounds)
    found = figures(ran)
    if not found.ok:
        reasons = [
            *found.reasons,
            *(["429"] if found.refused else []),
            *(["no answer"] if found.hung else []),
        ]
        raise ServerError(
            f"None of {found.requests} first requests was answered with speech or text",
            why="; ".join(reasons),
            remedy="Check the address, the model and the key, with `sonorant say --server` for example",
        )


async def _measured(
    load: Callable[[], Awaitable[Ran]],
    processes: Processes | None,
    own: bool,
    *,
    clients: int | None = None,
    rate: float | None = None,
    share: float | None = None,
) -> Load:
    if processes is None:
        ran = await load()
        return Load(clients, rate, share, figures(ran), ran.cpu / ran.wall)
    before, cpu, root = processes.memory(), processes.cpu(), processes.root_cpu()
    with processes.watched() as peak:
        ran = await load()
    generator = ran.cpu + peak.cpu
    took, top = processes.cpu() - cpu, processes.root_cpu() - root
    if own:
        took, top = took - generator, top - generator
    asked = max(1, len(ran.outcomes))
    return Load(
        clients,
        rate,
        share,
        figures(ran),
        generator / ran.wall,
        server_cpu=took / asked,
        gateway_cpu=top / asked,
        memory_before=before,
        memory_peak=peak.memory,
        memory_after=processes.memory(),
        device_memory=processes.device_memory(),
    )
