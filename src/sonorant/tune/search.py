"""The search: one knob after the other, each from the best so far, then the finalists again and in turns.

It is a function of what the laboratory answers: with a journal behind that it goes the same way again without
measuring, and on from where it was interrupted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from sonorant.tune.rows import OBJECTIVE, OVERLAP, Row, Trial, standing
from sonorant.tune.slo import Slo
from sonorant.tune.space import Candidate, Knob, Option, Space

RUNS = 3
"""trials of each finalist"""
FINALISTS = 3
"""beside the settings in force"""
GAIN = 0.02
"""of throughput, below which one trial more says nothing and the search stays where it is"""
HOPELESS = 0.5
"""times the throughput of the best, below which a configuration is given up; its option is not tried again"""
KEPT = (FINALISTS * (RUNS - 1), 1, 0)
"""trials for which time is kept while options are tried: those of the finalists; then, of what these did not
need, one more of a new best; then none"""
SHARE_OF_FINALS = 0.4
"""of the time, at the most, that is kept for the finalists"""


class Laboratory(Protocol):
    """Where configurations are measured. `run` is the number of a configuration's trial, from 0."""

    def recall(self, candidate: Candidate, run: int) -> Trial | None:
        """What was measured before; None = nothing."""
        ...

    def measure(self, candidate: Candidate, run: int, hopeless: float = 0.0) -> Trial:
        """Measure it now. A failure is a trial, too; one with less throughput than is hopeless may be ended
        before its time."""
        ...


@dataclass
class Bounds:
    """What ends a search. Trials that are recalled cost nothing."""

    seconds: float
    trials: int
    clock: Callable[[], float] = time.monotonic
    began: float = field(init=False)
    done: int = 0
    longest: float = 0.0
    """seconds that one trial took"""

    def __post_init__(self) -> None:
        self.began = self.clock()

    @property
    def left(self) -> float:
        """Seconds."""
        return self.began + self.seconds - self.clock()

    def allow(self, kept: int = 0) -> bool:
        """Whether there is time for one more, with some of it `kept` for as many others. The first always."""
        if self.done == 0:
            return True
        reserve = min(kept * self.longest, SHARE_OF_FINALS * self.seconds)
        return self.done < self.trials and self.left - reserve >= self.longest

    def took(self, seconds: float) -> None:
        """One more was measured."""
        self.done += 1
        self.longest = max(self.longest, seconds)


@dataclass
class Found:
    """What a search has found, complete or not."""

    trials: dict[Candidate, list[Trial]] = field(default_factory=dict)
    """in the order in which they were first tried"""
    untried: list[tuple[str, str]] = field(default_factory=list)
    """knob and option for which there was no time"""
    interrupted: bool = False

    @property
    def rows(self) -> list[Row]:
        return [Row(candidate, tuple(trials)) for candidate, trials in self.trials.items()]

    def row(self, candidate: Candidate) -> Row:
        return Row(candidate, tuple(self.trials.get(candidate, ())))


class Search:
    """One search, whose `found` may be looked at whenever it ends, or is ended."""

    def __init__(self, space: Space, laboratory: Laboratory, bounds: Bounds, slo: Slo) -> None:
        self._space, self._laboratory, self._bounds, self._slo = space, laboratory, bounds, slo
        self.found = Found()
        self._hopeless: set[Option] = set()
        self._kept, self._short = KEPT[0], False
        """trials for which time is kept, and whether something was not tried for that"""

    def run(self) -> Found:
        """All of it, or until Ctrl-C."""
        try:
            self._try(Candidate())
            for self._kept in KEPT:
                self._short = False
                self._contest(self._descend())
                if not self._short:
                    break
        except KeyboardInterrupt:
            self.found.interrupted = True
        self.found.untried = list(self._untried())
        return self.found

    def _descend(self) -> Candidate:
        """Turn one knob after the other until none helps."""
        best = Candidate()
        while True:
            before = best
            for knob in self._space.knobs:
                best = self._turn(knob, best)
            if best == before:
                return best

    def _turn(self, knob: Knob, best: Candidate) -> Candidate:
        """The best position of one knob. What is in force is measured again among the others where one of
        them may be as good: a machine that has become slower meanwhile would favour it."""
        others = [
            option
            for option in knob.options
            if option not in self._hopeless and self._space.turned(best, option) != best
        ]
        fresh = [one for one in others if self._space.turned(best, one) not in self.found.trials]
        for option in others:
            self._try(self._space.turned(best, option), kept=True)
        rows = {option: self.found.row(self._space.turned(best, option)) for option in others}
        self._hopeless |= {option for option, row in rows.items() if row.given_up}
        if any(self._rivals(rows[one], best) for one in fresh) and len(self._trials(best)) < RUNS:
            self._try(best, again=True, kept=True)
        winner = max(rows.values(), key=self._standing, default=None)
        if winner is not None and self._better(winner, self.found.row(best)):
            return winner.candidate
        return best

    def _contest(self, best: Candidate) -> None:
        """Measure what may be chosen in turns, so that what else the machine does meets all of them; and the
        settings in force once more, so that what is gained by another is measured in the same minutes."""
        finalists = self._finalists(best)
        for run in range(1, RUNS):
            for candidate in finalists:
                if len(self._trials(candidate)) <= run:
                    self._try(candidate, again=True)
            finalists = self._finalists(best)  # one more trial can bring others near, or take them away
        base = self.found.row(Candidate())
        if finalists and Candidate() not in finalists and not base.fault and len(base.trials) < RUNS:
            self._try(Candidate(), again=True)

    def _finalists(self, best: Candidate) -> list[Candidate]:
        """The first ones, and the settings in force, where another comes near them; one alone needs no more
        trials to be the best, but where it is new, to be known."""
        ranked = sorted(self.found.rows, key=self._standing, reverse=True)
        leader = ranked[0].candidate
        rivals = [row.candidate for row in ranked if self._rivals(row, leader)]
        found = rivals[:FINALISTS]
        found += [one for one in (best, Candidate()) if one in rivals and one not in found]
        return [] if found == [Candidate()] else found

    def _rivals(self, row: Row, best: Candidate) -> bool:
        """Whether more trials might show that a configuration is as good as the best. Where bounds are
        missed throughput does not decide."""
        if not self._standing(row)[0] or row.given_up:
            return False
        theirs = self.found.row(best)
        if self._standing(theirs)[0] < 2:
            return True
        return max(row.values(OBJECTIVE)) >= OVERLAP * min(theirs.values(OBJECTIVE))

    def _trials(self, candidate: Candidate) -> list[Trial]:
        return self.found.trials.get(candidate, [])

    def _try(self, candidate: Candidate, *, again: bool = False, kept: bool = False) -> None:
        """One trial, where there is time for it. `kept`: only in time that the finalists do not need."""
        trials = self._trials(candidate)
        if trials and not again:
            return
        trial = self._laboratory.recall(candidate, len(trials))
        if trial is None:
            if not self._bounds.allow(self._kept if kept else 0):
                self._short = self._short or kept
                return
            trial = self._laboratory.measure(candidate, len(trials), 0.0 if again else self._too_little())
            self._bounds.took(trial.seconds)
        self.found.trials[candidate] = [*trials, trial]

    def _too_little(self) -> float:
        """Throughput with which nothing new can be the best. 0 while nothing keeps the bounds."""
        kept = [row.value(OBJECTIVE) or 0.0 for row in self.found.rows if self._standing(row)[0] == 2]
        return HOPELESS * max(kept, default=0.0)

    def _standing(self, row: Row) -> tuple[int, float]:
        return standing(row, self._slo)

    def _better(self, one: Row, other: Row) -> bool:
        ours, theirs = self._standing(one), self._standing(other)
        if ours[0] != theirs[0] or ours[0] < 2:
            return ours > theirs
        return (one.value(OBJECTIVE) or 0.0) > (1 + GAIN) * (other.value(OBJECTIVE) or 0.0)

    def _untried(self) -> Iterator[tuple[str, str]]:
        """Of each knob the options that no configuration had that was measured; its name where it was not
        turned at all."""
        tried = self.found.trials
        for knob in self._space.knobs:
            wanted = [self._space.turned(Candidate(), option) for option in knob.options]
            left = [
                one
                for one in wanted
                if one.settings and not any(set(one.settings) <= set(c.settings) for c in tried)
            ]
            whole = len(left) == len([one for one in wanted if one.settings])
            yield from ((knob.name, name) for name in ([knob.name] if left and whole else map(str, left)))
