"""Where configurations are measured: a child for each trial, and the journal of those before."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from sonorant.confined import confined
from sonorant.errors import SonorantError
from sonorant.settings import Settings
from sonorant.tune.journal import Journal
from sonorant.tune.load import Load
from sonorant.tune.measured import Measured
from sonorant.tune.rows import Trial
from sonorant.tune.slo import Slo
from sonorant.tune.space import Candidate

LOAD_SECONDS = 4.0
"""that the first load lasts; those after it have as many requests, so that all say the same sentences"""
SLOWER = 4.0
"""times as long a load may last, of a configuration that is so much slower: it is known to be by then"""
LOADS = 12
"""of the time for all trials one load takes no more than this part, however slow the model is"""
HANG_SECONDS = 35.0
"""for what was asked last to end, and half a minute to be given up"""
CROWDED = -1
"""instead of the number of a trial: of a load with too many clients"""
START_SECONDS = 90.0
STEPS = 12
"""loads at the most of which one has more clients than the last, to find how many are served"""

Told = Callable[[Trial], None]


class Laboratory:
    """A `search.Laboratory` that serves the model for real."""

    def __init__(
        self,
        model: str,
        settings: Settings,
        load: Load,
        clients: int,
        journal: Journal,
        seconds: float,
        *,
        fewer: bool = False,
        told: Told = lambda _: None,
    ) -> None:
        """`fewer`: where the settings in force refuse so many clients, half as many ask, and so on.

        seconds: for all trials. `told` hears of every trial that is measured.
        """
        self._model, self._settings, self._load = model, settings.model_dump(mode="json"), load
        self._journal, self._seconds, self._told = journal, seconds / LOADS, told
        self._fewer = [clients >> n for n in range(clients.bit_length())][1:] if fewer else []
        """that may ask instead, until one trial has said how many do"""
        self.clients = clients
        """at once"""
        self._first: Measured | None = None

    def recall(self, candidate: Candidate, run: int) -> Trial | None:
        while self._fewer and self._journal.recall(candidate, self.clients, CROWDED):
            self.clients = self._fewer.pop(0)
        trial = self._journal.recall(candidate, self.clients, run)
        if trial:
            self._take(trial)
        return trial

    def measure(self, candidate: Candidate, run: int, hopeless: float = 0.0) -> Trial:
        began = time.monotonic()
        clients = [self.clients, *self._fewer]
        found: list[Measured | None] = []
        fault = ""
        try:
            found += self._served(candidate, clients, Slo(), hopeless, admitting=len(clients) > 1)
        except SonorantError as error:
            found, fault = [None], str(error)
        seconds = time.monotonic() - began
        seconds -= sum(one.wall for one in found[:-1] if one)
        for one in found[:-1]:  # ended when somebody was refused: their figures are none
            crowded = Trial(candidate, self.clients, CROWDED, one, "", round(one.wall if one else 0.0, 2))
            self._journal.add(crowded)
            self.clients = self._fewer.pop(0)
        trial = Trial(candidate, self.clients, run, found[-1], fault, round(seconds, 2))
        self._journal.add(trial)
        self._told(trial)
        self._take(trial)
        return trial

    def _take(self, trial: Trial) -> None:
        """The first trial says how many ask in all others, and for how much."""
        self._fewer = []
        if trial.measured and self._first is None and trial.candidate == Candidate():
            self._first = trial.measured

    def most_clients(self, candidate: Candidate, slo: Slo) -> int:
        """How many are served at once within the bounds: the load grows until they are missed. 0 = not one.

        Raises SonorantError where serving fails.
        """
        served, recalled = 0, False
        for clients in self._ladder():
            trial = self._journal.recall(candidate, clients, 0)
            if trial is None or trial.measured is None:
                break
            recalled = True
            if slo.missed(trial.measured.value):
                return served
            served = clients
        left = [clients for clients in self._ladder() if clients > served]
        if left and not (recalled and served == self._ladder()[-1]):
            for found in self._served(candidate, left, slo):
                if self._journal.recall(candidate, found.clients, 0) is None:
                    self._journal.add(Trial(candidate, found.clients, 0, found))
                if slo.missed(found.value):
                    break
                served = found.clients
        return served

    def _ladder(self) -> list[int]:
        """1, 2, 3, 4, 6, 8, 12, 16 …"""
        return sorted({1 << i for i in range(9)} | {3 << i for i in range(7)})[:STEPS]

    def _served(
        self,
        candidate: Candidate,
        clients: Sequence[int],
        slo: Slo,
        hopeless: float = 0.0,
        *,
        admitting: bool = False,
    ) -> list[Measured]:
        first = self._first
        seconds = self._seconds
        if first is not None:
            seconds = min(seconds, SLOWER * max(LOAD_SECONDS, first.wall))
        arguments: dict[str, Any] = {
            "settings": self._settings,
            "candidate": candidate.tree,
            "model": self._model,
            "load": self._load.tree(),
            "clients": list(clients),
            "goals": msgspec.to_builtins(slo.goals),
            "requests": first.requests if first else None,
            "usual_seconds": LOAD_SECONDS,
            "load_seconds": seconds,
            "hopeless": hopeless,
            "admitting": admitting,
            "start_seconds": START_SECONDS,
        }
        # the first load is warmed up before
        most = START_SECONDS + (1 + len(clients)) * (seconds + HANG_SECONDS) + 30
        told = confined(
            "sonorant.tune.child:measure", arguments, title=f"Measuring {self._model}", seconds=most
        )
        return msgspec.convert(told, list[Measured])
