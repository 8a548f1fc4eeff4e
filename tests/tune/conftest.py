"""A laboratory in which every configuration has figures that are known."""

from collections.abc import Callable, Iterable

import pytest

from sonorant.tune.measured import Measured
from sonorant.tune.rows import Trial
from sonorant.tune.space import Candidate, Knob, Option, Space

STREAMS, THREADS, WINDOW, ARTEFACT = (
    ("lanes", "streams"),
    ("networks", "voice", "net", "threads"),
    ("lanes", "window_ms"),
    ("networks", "voice", "net", "artefact"),
)


def measured(
    throughput: float,
    ttfa: float = 0.1,
    memory: int = 500_000_000,
    answered: float = 1.0,
    clients: int = 4,
    given_up: bool = False,
) -> Measured:
    return Measured(
        clients=clients,
        requests=40,
        wall=2.0,
        answered=answered,
        throughput=throughput,
        requests_a_second=throughput / 3,
        memory=memory,
        device_memory=None,
        breaks=0.0,
        energy=None,
        curves={"ttfa": (ttfa,) * 101, "latency": (2 * ttfa,) * 101, "rtf": (0.1,) * 101},
        faults={"429": round(40 * (1 - answered))} if answered < 1 else {},
        given_up=given_up,
    )


@pytest.fixture
def figures() -> Callable[..., Measured]:
    return measured


def chosen(streams: float = 2, threads: float = 0, window: float = 10.0) -> Candidate:
    pairs = ((WINDOW, window), (STREAMS, streams), (THREADS, threads))
    base = {WINDOW: 10.0, STREAMS: 2, THREADS: 0}
    return Candidate(tuple(sorted((path, value) for path, value in pairs if base[path] != value)))


@pytest.fixture
def candidate() -> Callable[..., Candidate]:
    return chosen


def knob(name: str, paths: tuple, values: tuple) -> Knob:
    each = [value if isinstance(value, tuple) else (value,) for value in values]
    return Knob(name, tuple(Option(tuple(zip(paths, value, strict=True))) for value in each))


@pytest.fixture
def space() -> Space:
    return Space(
        (
            knob("threads and streams", (THREADS, STREAMS), ((1, 2), (2, 1), (1, 4), (0, 1))),
            knob("streams", (STREAMS,), (1, 2, 4)),
            knob("window", (WINDOW,), (0.0, 30.0)),
        ),
        {WINDOW: 10.0, STREAMS: 2, THREADS: 0},
    )


@pytest.fixture
def artefacts(space) -> Space:
    """What computes comes first; `torch` has a third of the throughput of what is in force."""
    computing = knob("artefact", (ARTEFACT,), ("fast", "slow", "torch"))
    return Space((computing, *space.knobs), {**space.base, ARTEFACT: ""})


class Fake:
    """Throughput is 10, twice as much with four streams, half as much again with one thread; a window of 0 is
    a tenth better. `drift` follows the number of the trial, as a busy machine does. A trial takes ten seconds,
    and two where it is given up."""

    def __init__(
        self, failing: Iterable[Candidate] = (), drift: Callable[[int], float] = lambda _: 1.0
    ) -> None:
        self.failing, self.drift = set(failing), drift
        self.kept: dict[tuple[Candidate, int], Trial] = {}
        self.measured: list[Candidate] = []
        self.interrupt_at: int | None = None
        self.now = 0.0

    def throughput(self, candidate: Candidate) -> float:
        has = dict(candidate.settings)
        value = 10.0 * (1 + (has.get(STREAMS, 2) == 4)) * (1.5 if has.get(THREADS) == 1 else 1.0)
        value *= 1.1 if has.get(WINDOW) == 0.0 else 1.0
        return value * {"torch": 0.3, "slow": 0.6, "fast": 2.0}.get(str(has.get(ARTEFACT)), 1.0)

    def clock(self) -> float:
        return self.now

    def recall(self, candidate: Candidate, run: int) -> Trial | None:
        return self.kept.get((candidate, run))

    def measure(self, candidate: Candidate, run: int, hopeless: float = 0.0) -> Trial:
        if len(self.measured) == self.interrupt_at:
            raise KeyboardInterrupt
        self.measured.append(candidate)
        if candidate in self.failing:
            trial = Trial(candidate, 4, run, None, "Out of memory", 10.0)
        else:
            value = self.throughput(candidate) * self.drift(len(self.measured))
            lost = value < hopeless
            shown = measured(value, memory=int(1e8 * (1 + value)), given_up=lost)
            trial = Trial(candidate, 4, run, shown, "", 2.0 if lost else 10.0)
        self.now += trial.seconds
        self.kept[candidate, run] = trial
        return trial


@pytest.fixture
def fake() -> Callable[..., Fake]:
    return Fake
