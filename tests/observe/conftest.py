"""A replica with figures, and the names of all that a server exports."""

from dataclasses import dataclass, field

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sonorant.observe.figures import Figures
from sonorant.observe.gpus import Gpu
from sonorant.observe.measures import MEASURES
from sonorant.observe.metrics import Metrics
from sonorant.tasks import Load, Snapshot, State, Task


@dataclass
class Fake:
    """A replica whose process may be started anew."""

    name: str = "hibari"
    task: Task = Task.SPEECH
    state: State = State.READY
    reason: str = ""
    process: Figures = field(default_factory=Figures)
    own: list[Snapshot] = field(default_factory=list)

    def load(self) -> Load:
        return Load(slots=2, running=1, waiting=3, waiting_seconds=1.5, longest_running=0.25)

    def figures(self) -> tuple[Snapshot, ...]:
        return (self.process.snapshot(), *self.own)


@pytest.fixture
def fakes() -> type[Fake]:
    return Fake


@pytest.fixture
def exported() -> dict[str, str]:
    """Every metric → its labels, as a server with all kinds of figures exports them."""
    fake = Fake()
    for measure in MEASURES.values():
        if measure.owner == "model":
            add = {"counter": "count", "gauge": "set", "histogram": "observe"}[measure.kind]
            labels = dict.fromkeys(measure.labels, "x")
            getattr(fake.process, add)(measure.name, 1, **labels)
    metrics = Metrics([fake], lambda: {"load": {"fast": True}})
    metrics._machine.gpus = (Gpu("0", "H100", 0.4, 10, 80),)
    for task in (metrics.speech, metrics.transcription):
        for one in vars(task).values():
            one.labels(*["x"] * len(one._labelnames))
    metrics.http.labels("x", "x", "x")
    metrics.cache.requests.labels("x", "x")
    families = text_string_to_metric_families(metrics.text().decode())
    names = {}
    for family in families:
        name = f"{family.name}_total" if family.type == "counter" else family.name
        if not name.endswith("_created"):
            names[name] = ", ".join(k for k in family.samples[0].labels if k != "le")
    return names
