"""Prometheus metrics, named as the field's proposal names them. Labels are bounded: only served
models, known routes and a handful of outcomes appear in them, never what a client wrote."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from sonorant.observe.collector import MachineCollector, ReplicaCollector, StepCollector
from sonorant.observe.gpus import Gpus
from sonorant.tasks import Replica, Task

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 20, 30, 60)
_FACTORS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1, 1.5, 2, 5)
_REQUEST_SECONDS = (0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 300)


class TaskMetrics:
    """The figures of one task, by model: `tts_*` or `asr_*`."""

    def __init__(self, prefix: str, first: str, registry: CollectorRegistry) -> None:
        self.time_to_first = Histogram(
            f"{prefix}_time_to_first_{first}_seconds",
            f"From the request's arrival at the gateway to its first {first}",
            ["model"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.realtime_factor = Histogram(
            f"{prefix}_realtime_factor",
            "Processing time (queueing included, slow readers excluded) / audio time",
            ["model"],
            buckets=_FACTORS,
            registry=registry,
        )
        self.active = Gauge(
            f"{prefix}_active_requests", "Requests waiting or running", ["model"], registry=registry
        )
        self.requests = Counter(
            f"{prefix}_requests",
            "Ended requests: ok, refused, failed or cancelled",
            ["model", "status"],
            registry=registry,
        )
        self.audio_seconds = Counter(
            f"{prefix}_audio_seconds", "Audio spoken or heard, seconds", ["model"], registry=registry
        )

    def begin(self, model: str) -> None:
        """Export zeros: Prometheus sees no increase where a counter appears with its first event."""
        self.active.labels(model)
        self.audio_seconds.labels(model)
        for status in ("ok", "refused", "failed", "cancelled"):
            self.requests.labels(model, status)


class SpeechMetrics(TaskMetrics):
    """Those of text to speech."""

    def __init__(self, registry: CollectorRegistry) -> None:
        super().__init__("tts", "audio", registry)
        self.underruns = Counter(
            "tts_underruns",
            "Times that a listener would have run out of audio, had they played it as it came",
            ["model"],
            registry=registry,
        )

    def begin(self, model: str) -> None:
        super().begin(model)
        self.underruns.labels(model)


class CacheMetrics:
    """What the cache of spoken answers does."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.requests = Counter(
            "sonorant_cache_requests",
            "Speech requests that could be kept: hit, miss, or joined one under way",
            ["model", "outcome"],
            registry=registry,
        )
        self.bytes = Gauge("sonorant_cache_bytes", "Held in memory or on disk", registry=registry)
        self.evictions = Counter(
            "sonorant_cache_evictions", "Entries that made room for others", registry=registry
        )

    def holds(self, size: int, evicted: int) -> None:
        """The bytes held now, and how many entries had to go."""
        self.bytes.set(size)
        self.evictions.inc(evicted)


class Metrics:
    """All metrics of one server, in a registry of its own."""

    def __init__(
        self, replicas: Sequence[Replica], steps: Callable[[], Mapping[str, Mapping[str, bool]]] = dict
    ) -> None:
        """`steps` gives those of each ladder, and whether they are taken."""
        self.registry = CollectorRegistry()
        self.speech = SpeechMetrics(self.registry)
        self.transcription = TaskMetrics("asr", "text", self.registry)
        self.cache = CacheMetrics(self.registry)
        self.http = Histogram(
            "http_request_duration_seconds",
            "From the request line to the response's last byte",
            ["method", "route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=self.registry,
        )
        for replica in replicas:
            self.begin(replica)
        self.registry.register(ReplicaCollector(replicas))
        self._gpus = Gpus()
        self._machine = MachineCollector()
        self.registry.register(self._machine)
        self.registry.register(StepCollector(steps))

    def begin(self, replica: Replica) -> None:
        """Export zeros of a model."""
        spoken, heard = (Task.SPEECH, Task.VOCODING), (Task.TRANSCRIPTION,)
        for tasks, metrics in ((spoken, self.speech), (heard, self.transcription)):
            if replica.task in tasks:
                metrics.begin(replica.name)

    def text(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self.registry)

    async def read(self) -> None:
        """Ask the GPUs again, which may take them milliseconds."""
        if self._gpus.present:
            self._machine.gpus = await asyncio.to_thread(self._gpus.read)
