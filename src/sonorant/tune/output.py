"""A verdict for people and for programs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from rich.console import Console
from rich.table import Table

from sonorant.tune import plot
from sonorant.tune.rows import OBJECTIVE, Row, Trial, measured, peers, standing
from sonorant.tune.session import Verdict
from sonorant.tune.slo import ANSWERED, Missed, amount, said
from sonorant.tune.space import Candidate

Say = Callable[[str], str]
"""English words of ours → those of the terminal's language"""

NOTHING = "–"


def progress(trial: Trial) -> str:
    """One line of a trial that has ended."""
    if trial.measured is None:
        return f"{trial.candidate}: {trial.fault}"
    soon = "ttfa_p95" if "ttfa" in trial.measured.curves else "latency_p95"
    values = [(name, trial.measured.value(name)) for name in (OBJECTIVE, soon, "memory")]
    told = ", ".join(f"{name} {amount(name, value)}" for name, value in values if value is not None)
    if trial.measured.answered < ANSWERED:
        told += f", answered {trial.measured.answered:.0%} of {trial.clients} clients"
    if trial.measured.given_up:
        told += ", given up"
    return f"{trial.candidate}: {told} ({trial.seconds:.0f} s)"


def show(verdict: Verdict, console: Console, say: Say) -> None:
    """Print the table, the plot and what follows from them."""
    console.print(_table(verdict, say))
    if drawn := plot.lines(verdict):
        console.print()
        console.print(
            say(f"{plot.TITLES[verdict.axes[1]]}, against seconds of audio a second:"), markup=False
        )
        for line in drawn:
            console.print(line, highlight=False, markup=False, no_wrap=True)
        console.print(
            "  ".join(
                f"{sign} {say(word)}"
                for sign, word in (
                    (plot.CHOSEN, "chosen"),
                    (plot.IN_FORCE, "in force"),
                    (plot.FRONT, "on the Pareto front"),
                )
            ),
            highlight=False,
        )
    console.print()
    for line in conclusions(verdict, say):
        console.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(verdict: Verdict, say: Say) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    table.add_column(say("configuration"), overflow="fold", min_width=20)
    for heading in ("audio s/s", plot.TITLES[verdict.axes[1]], "memory", "trials"):
        table.add_column(say(heading), justify="right")
    table.add_column(say("verdict"), overflow="fold")
    rows = sorted(verdict.rows, key=lambda row: standing(row, verdict.slo), reverse=True)
    for row in rows:
        table.add_row(
            plot.mark(row, verdict),
            say(str(row.candidate)),
            _cell(row, OBJECTIVE, spread=True),
            _cell(row, verdict.axes[1], spread=True),
            _cell(row, "memory"),
            str(len(row.trials)),
            _verdict(row, verdict, say),
            style="" if row in verdict.front or plot.mark(row, verdict) != plot.OTHER else "dim",
        )
    return table


def _cell(row: Row, name: str, *, spread: bool = False) -> str:
    value = row.value(name)
    if value is None or row.fault:
        return NOTHING
    between = row.spread(name) if spread else None
    told = amount(name, value)
    return told if between is None else f"{told} ±{between / 2:.0%}"


def _verdict(row: Row, verdict: Verdict, say: Say) -> str:
    if row.fault:
        return say("failed")
    missed = row.missed(verdict.slo)
    if missed:
        return "; ".join(_missed(one, say) for one in missed)
    if verdict.chosen is not None and row.candidate == verdict.chosen.candidate:
        return say("chosen")
    return say("given up early") if row.given_up else ""


def _missed(missed: Missed, say: Say) -> str:
    if missed.goal.figure == "answered":
        return say(f"only {missed.value:.0%} answered")
    return say(f"misses {missed.goal.figure} by {missed.by:.0%}")


def conclusions(verdict: Verdict, say: Say) -> Iterator[str]:
    """What to make of the figures, a sentence each."""
    if verdict.interrupted:
        yield say("Interrupted: what was measured is kept, and the same command goes on from there.")
    if verdict.refused:
        yield (
            say(f"The settings in force do not admit {verdict.refused} clients at once.")
            + " "
            + say(f"With {verdict.clients} at once all was measured.")
        )
    if verdict.chosen is not None:
        yield from _about_chosen(verdict, verdict.chosen, say)
    elif verdict.nearest is not None:
        yield from _about_nearest(verdict, verdict.nearest, say)
    else:
        yield say("Nothing could be measured.")
    for row in verdict.rows:
        if row.fault:
            yield say("failed") + f": {row.candidate}: {row.fault}"
    best = verdict.chosen or verdict.nearest
    for goal in verdict.slo.unmeasured(best.value) if best else ():
        yield say(f"{goal.figure} cannot be measured on this machine, so its bound was not judged.")
    if verdict.untried:
        options = "; ".join(dict.fromkeys(say(option) for _, option in verdict.untried))
        yield say(f"Not tried, for want of time: {options}.") + " " + say("More --seconds try them.")


def _about_chosen(verdict: Verdict, row: Row, say: Say) -> Iterator[str]:
    told = ", ".join(
        f"{name} {amount(name, value)}" for name in verdict.axes if (value := row.value(name)) is not None
    )
    yield say(f"Chosen with {verdict.clients} clients at once: {say(str(row.candidate))} ({told}).")
    if row.candidate in verdict.served:
        yield say(f"It serves {verdict.served[row.candidate]} at once within the bounds.")
    base = verdict.base
    if base is not None and row.candidate != Candidate() and not base.fault:
        gain = (row.value(OBJECTIVE) or 0.0) / (base.value(OBJECTIVE) or 1.0)
        yield say(f"That is {gain:.2f} times the throughput of the settings in force.")
    equal = [one for one in peers(verdict.rows, row, verdict.slo) if one.candidate != row.candidate]
    if len(row.trials) < 2:
        yield say("It was measured once: more --seconds tell how much of that is chance.")
    if equal:
        names = "; ".join(say(str(one.candidate)) for one in equal)
        yield (
            say(f"Within the spread of the trials these are as good: {names}.")
            + " "
            + say("The one that changes least is chosen.")
        )


def _about_nearest(verdict: Verdict, row: Row, say: Say) -> Iterator[str]:
    if verdict.slo.goals:
        yield say(f"Nothing keeps the bounds with {verdict.clients} clients at once.")
    else:
        yield say(f"No settings answer everybody with {verdict.clients} clients at once.")
    for missed in row.missed(verdict.slo):
        if missed.goal.figure == "answered":
            found = measured(row)
            faults = found.faults.items() if found else ()
            why = ", ".join(f"{count} × {reason}" for reason, count in faults)
            yield say(
                f"Nearest: {say(str(row.candidate))}: "
                f"only {missed.value:.0%} of the requests were answered ({why})."
            )
            if found and found.crowded:
                yield say("They are more than it takes at once: name fewer with --clients.")
        else:
            name = missed.goal.figure
            yield say(
                f"Nearest: {say(str(row.candidate))}: {name} is {amount(name, missed.value)}, "
                f"which misses {said(missed.goal)} by {missed.by:.0%}."
            )
    if row.candidate in verdict.served:
        yield say(f"It serves {verdict.served[row.candidate]} at once within the bounds.")


def as_json(verdict: Verdict) -> str:
    """All figures; seconds and bytes throughout."""
    tree = {
        "model": verdict.look.name,
        "task": verdict.look.task,
        "clients": verdict.clients,
        "refused_clients": verdict.refused or None,
        "goals": [{"figure": goal.figure, goal.sense.value: goal.bound} for goal in verdict.slo.goals],
        "answered_at_least": ANSWERED,
        "chosen": verdict.chosen and _settings(verdict.chosen.candidate),
        "nearest": verdict.nearest and _settings(verdict.nearest.candidate),
        "rows": [_row(row, verdict) for row in verdict.rows],
        "not_tried": [{"knob": knob, "option": option} for knob, option in verdict.untried],
        "interrupted": verdict.interrupted,
        "measured": verdict.measured,
        "journal": str(verdict.journal),
        "circumstances": verdict.facts,
    }
    return json.dumps(tree, ensure_ascii=False, indent=2, default=str)


_FIGURES = (
    "throughput", "requests", "ttfa_p50", "ttfa_p95", "ttfa_p99", "latency_p50", "latency_p95", "latency_p99",
    "rtf", "memory", "device_memory", "breaks", "energy", "answered",
)  # fmt: skip


def _row(row: Row, verdict: Verdict) -> dict[str, Any]:
    return {
        "settings": _settings(row.candidate),
        "trials": len(row.trials),
        "fault": row.fault or None,
        "given_up": row.given_up,
        "figures": {name: row.value(name) for name in _FIGURES},
        "spread": row.spread(OBJECTIVE),
        "missed": [
            {"figure": one.goal.figure, "bound": one.goal.bound, "value": one.value, "by": one.by}
            for one in (row.missed(verdict.slo) if not row.fault else ())
        ],
        "front": row in verdict.front,
        "served": verdict.served.get(row.candidate),
    }


def _settings(candidate: Candidate) -> dict[str, Any]:
    """As a settings file has them."""
    return candidate.tree
