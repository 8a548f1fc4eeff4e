"""A model of a speech server: listeners come, a device with slots speaks to them, the earliest due first."""

import heapq
import random
from dataclasses import dataclass, field
from types import SimpleNamespace

from sonorant.errors import BusyError
from sonorant.gateway.admission import SLOWDOWN, Admission
from sonorant.gateway.estimate import Size
from sonorant.settings import LimitSettings
from sonorant.tasks import Load, Task, Terms, Tier


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Request:
    """Pieces of work, one after the other: sentences that somebody listens to, or stretches of a recording."""

    came: float
    pieces: list[float]
    """seconds of audio"""
    terms: Terms = field(default_factory=Terms)
    due: float = 0.0
    first: float = 0.0
    """seconds until the first of them was there"""
    took: float = 0.0
    silent: float = 0.0
    """seconds that its listener waited for more"""
    done: int = 0
    retry_after: float | None = None
    """refused"""


class Server:
    """Works on `slots` pieces at a time, each of which takes `factor` seconds a second of audio."""

    def __init__(self, factor, slots=2, task=Task.SPEECH, belief=1.0, keys=(), **limits):
        """`belief` is what is told about its cost / what is true."""
        self.factor, self.slots, self.task, self.belief = factor, slots, task, belief
        self.clock = Clock()
        self.admission = Admission(LimitSettings(**limits), keys, self.clock)
        self.replica = SimpleNamespace(name="voice", task=task, load=lambda: Load(slots=slots))
        self.waiting, self.running = [], []
        self.ended: list[Request] = []
        self.refused: list[Request] = []
        self._places = {}
        self._count = 0

    def run(self, requests):
        for request in sorted(requests, key=lambda request: request.came):
            self._work_until(request.came)
            self.clock.now = request.came
            self._arrive(request)
        self._work_until(float("inf"))

    def _arrive(self, request):
        told = self.factor * self.belief
        seconds = sum(request.pieces)
        size = Size(work=seconds * told, first=request.pieces[0] * told, seconds=seconds)
        place = self.admission.admit(self.replica, size, request.terms)
        try:
            self._places[id(request)] = place, place.__enter__()
        except BusyError as error:
            request.retry_after = error.retry_after
            self.refused.append(request)
            return
        request.due = request.came
        if self.task is Task.TRANSCRIPTION:
            request.due += SLOWDOWN * seconds * self.factor
        self._wait(request)

    def _wait(self, request):
        self._count += 1
        bulk = request.terms.tier is Tier.BULK
        heapq.heappush(self.waiting, (bulk, request.due, self._count, request))
        self._start()

    def _start(self):
        while self.waiting and len(self.running) < self.slots:
            request = heapq.heappop(self.waiting)[-1]
            self._count += 1
            ends = self.clock.now + request.pieces[request.done] * self.factor
            heapq.heappush(self.running, (ends, self._count, request))

    def _work_until(self, when):
        while self.running and self.running[0][0] <= when:
            self.clock.now, _, request = heapq.heappop(self.running)
            self._end_piece(request)
            self._start()

    def _end_piece(self, request):
        now, audio = self.clock.now, request.pieces[request.done]
        place, admitted = self._places[id(request)]
        admitted.progressed(audio, audio * self.factor)
        if not request.done:
            request.first = now - request.came
            if self.task is Task.SPEECH:
                request.due = now
        request.done += 1
        if self.task is Task.SPEECH:
            request.silent += max(0.0, now - request.due)
            request.due = max(now, request.due) + audio
        if request.done < len(request.pieces):
            self._wait(request)
            return
        admitted.ended()
        place.__exit__(None, None, None)
        request.took = now - request.came
        self.ended.append(request)

    @property
    def used(self):
        """Of what the device could do until the last request had come."""
        return sum(sum(r.pieces) for r in self.ended) * self.factor / self.slots


def crowd(server, load, seconds, pieces=7, seed=1, **terms):
    """Poisson arrivals of up to `pieces` sentences of 1 to 5 s, which ask for `load` × what the server can do."""
    chance = random.Random(seed)
    work = (1 + pieces) / 2 * 3.0 * server.factor
    when, requests = 0.0, []
    while (when := when + chance.expovariate(load * server.slots / work)) < seconds:
        texts = [chance.uniform(1, 5) for _ in range(chance.randint(1, pieces))]
        requests.append(Request(when, texts, Terms(**terms)))
    return requests


def percentile(values, share):
    return sorted(values)[int(share * (len(values) - 1))]
