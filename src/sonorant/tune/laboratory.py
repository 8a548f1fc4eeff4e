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
        told: Told = lambda _: None,
    ) -> None:
        """`told` hears of every trial that is measured."""
        self._model, self._settings, self._load = model, settings.model_dump(mode="json"), load
        self._clients, self._journal, self._told = clients, journal, told
        self._first: Measured | None = None

    def recall(self, candidate: Candidate, run: int) -> Trial | None:
        return self._known(self._journal.recall(candidate, self._clients, run))

    def measure(self, candidate: Candidate, run: int) -> Trial:
        began = time.monotonic()
        try:
            found, fault = self._served(candidate, [self._clients], Slo())[0], ""
        except SonorantError as error:
            found, fault = None, str(error)
        trial = Trial(candidate, self._clients, run, found, fault, round(time.monotonic() - began, 2))
        self._journal.add(trial)
        self._told(trial)
        return self._known(trial) or trial

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

    def _served(self, candidate: Candidate, clients: Sequence[int], slo: Slo) -> list[Measured]:
        first = self._first
        seconds = LOAD_SECONDS if first is None else SLOWER * max(LOAD_SECONDS, first.wall)
        arguments: dict[str, Any] = {
            "settings": self._settings,
            "candidate": candidate.tree,
            "model": self._model,
            "load": self._load.tree(),
            "clients": list(clients),
            "goals": msgspec.to_builtins(slo.goals),
            "requests": first.requests if first else None,
            "load_seconds": seconds,
            "start_seconds": START_SECONDS,
        }
        # how long the first load takes is not known; of slow models it is repeated, ten times as long
        most = START_SECONDS + len(clients) * (2 * seconds + 30) + (0 if first else 10 * seconds)
        told = confined(
            "sonorant.tune.child:measure", arguments, title=f"Measuring {self._model}", seconds=most
        )
        return msgspec.convert(told, list[Measured])

    def _known(self, trial: Trial | None) -> Trial | None:
        """The first trial of all says how many requests the others have."""
        if trial is not None and trial.measured and self._first is None and trial.candidate == Candidate():
            self._first = trial.measured
        return trial
