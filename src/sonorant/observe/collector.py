"""What Prometheus reads at the moment it asks: the replicas' figures, their states, this machine."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

from sonorant.observe import machine, process
from sonorant.observe.figures import Ledger
from sonorant.observe.gpus import Gpu
from sonorant.observe.measures import MEASURES, Measure
from sonorant.tasks import Figure, Load, Replica, State

GATEWAY = "gateway"
"""the label of this process"""

LOADS: dict[str, tuple[str, str]] = {
    "slots": ("sonorant_slots", "Pieces of work that the model's device does at a time"),
    "running": ("sonorant_running", "Pieces of work that it does now"),
    "waiting": ("sonorant_waiting", "Pieces of work that wait for a slot"),
    "waiting_seconds": ("sonorant_waiting_seconds", "Predicted device-seconds of those that wait"),
    "longest_running": ("sonorant_longest_running_seconds", "Since the oldest work that runs has begun"),
}
"""fields of tasks.Load → the metric and what it means"""


class ReplicaCollector(Collector):
    """State, load and figures of each model, and of the processes that they and the gateway run in."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self._replicas = replicas
        self._ledgers: dict[str, Ledger] = defaultdict(Ledger)

    def describe(self) -> Iterable[Metric]:
        """Nothing in advance: otherwise Prometheus' library asks replicas that are not there yet."""
        return ()

    def collect(self) -> Iterator[Metric]:
        yield _states(self._replicas)
        yield from _loads({replica.name: replica.load() for replica in self._replicas})
        families = {name: _family(measure) for name, measure in MEASURES.items()}
        for replica in self._replicas:
            ledger = self._ledgers[replica.name]
            ledger.take(replica.figures())
            for name, figure in _begun(ledger.total()):
                _add(families[name], MEASURES[name], replica.name, figure)
        for figure in process.snapshot().figures:
            _add(families[figure.name], MEASURES[figure.name], GATEWAY, figure)
        yield from families.values()


class MachineCollector(Collector):
    """Memory of the machine or container, and its GPUs. What nothing is known of is not exported."""

    def __init__(self) -> None:
        self.gpus: tuple[Gpu, ...] = ()

    def collect(self) -> Iterator[Metric]:
        if memory := machine.memory():
            yield _gauge(
                "sonorant_memory_used_bytes", "Memory in use by all that share its limit", memory.used
            )
            yield _gauge(
                "sonorant_memory_limit_bytes", "The container's limit, or the machine's", memory.limit
            )
            if memory.kills is not None:
                yield CounterMetricFamily(
                    "sonorant_out_of_memory_kills",
                    "Processes that the kernel ended for want of memory, in this container or machine",
                    value=memory.kills,
                )
        if self.gpus:
            used = GaugeMetricFamily(
                "sonorant_gpu_utilization_ratio", "Share of time it computes", labels=["gpu"]
            )
            held = GaugeMetricFamily("sonorant_gpu_memory_used_bytes", "Of all processes", labels=["gpu"])
            limit = GaugeMetricFamily("sonorant_gpu_memory_limit_bytes", "All it has", labels=["gpu"])
            for gpu in self.gpus:
                used.add_metric([gpu.index], gpu.used)
                held.add_metric([gpu.index], gpu.memory_used)
                limit.add_metric([gpu.index], gpu.memory)
            yield from (used, held, limit)


class StepCollector(Collector):
    """Which steps the ladders have taken."""

    def __init__(self, steps: Callable[[], Mapping[str, Mapping[str, bool]]]) -> None:
        self._steps = steps

    def collect(self) -> Iterator[Metric]:
        family = GaugeMetricFamily(
            "sonorant_degraded", "1 while a step of a ladder is taken", labels=["ladder", "step"]
        )
        for ladder, steps in self._steps().items():
            for step, taken in steps.items():
                family.add_metric([ladder, step], float(taken))
        if family.samples:
            yield family


def _begun(figures: tuple[Figure, ...]) -> Iterator[tuple[str, Figure]]:
    """With zeros for plain counters: Prometheus sees no increase where one appears with its first event."""
    present = {figure.name for figure in figures}
    for name, measure in MEASURES.items():
        plain = measure.kind == "counter" and not measure.labels and measure.owner == "model"
        if plain and name not in present:
            yield name, Figure(name, (), 0.0)
    for figure in figures:
        yield figure.name, figure


def _states(replicas: Iterable[Replica]) -> Metric:
    family = GaugeMetricFamily(
        "sonorant_model_state", "1 for the state that a model is in", labels=["model", "state"]
    )
    for replica in replicas:
        for state in State:
            family.add_metric([replica.name, state], float(replica.state is state))
    return family


def _loads(loads: dict[str, Load]) -> Iterator[Metric]:
    for field, (metric, meaning) in LOADS.items():
        family = GaugeMetricFamily(metric, meaning, labels=["model"])
        for model, load in loads.items():
            family.add_metric([model], getattr(load, field))
        yield family


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


Family = CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily


def _family(measure: Measure) -> Family:
    kinds = {"counter": CounterMetricFamily, "gauge": GaugeMetricFamily, "histogram": HistogramMetricFamily}
    family: Family = kinds[measure.kind](
        measure.metric, measure.help, labels=[measure.owner, *measure.labels]
    )
    return family


def _add(family: Family, measure: Measure, owner: str, figure: Figure) -> None:
    labels = [owner, *figure.labels]
    if isinstance(family, HistogramMetricFamily):
        bounds = [*(repr(bound) for bound in measure.bounds), "+Inf"]
        family.add_metric(labels, list(zip(bounds, accumulate(figure.buckets), strict=True)), figure.value)
    else:
        family.add_metric(labels, figure.value)
