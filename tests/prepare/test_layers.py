"""As many layers are changed as is borne; the gate's refusal brings fewer, of those that did the harm."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sonorant.prepare.hearing import Piece
from sonorant.prepare.layers import Bench, Layers, Search, chosen, told
from sonorant.prepare.parity import Case, Reference

RATE = 16_000
SPEECH = np.random.default_rng(0).normal(0, 0.1, RATE).astype(np.float32) * np.repeat(
    np.random.default_rng(1).uniform(0.2, 1, 20), RATE // 20
).astype(np.float32)
WORK = {"much": 100.0, "some": 50.0, "little": 10.0, "clicking": 40.0, "awful": 30.0}
NOISE = {"much": 0.0004, "some": 0.0004, "little": 0.0004, "clicking": 0.0, "awful": 0.3, "longer": 0.0004}


@dataclass
class Changed:
    """An engine that computes a version: what layers that are changed do to the sound."""

    layers: frozenset[str]
    click: float = 0.0
    counted: list[frozenset[str]] = field(default_factory=list)

    def prepare(self, feeds, *, large=False):
        self.counted.append(self.layers)
        if {"longer", "some"} <= self.layers:  # neither does it alone
            return lambda: {"audio": np.zeros(len(SPEECH) + 1, np.float32)}
        sound = feeds["sound"].copy()
        for n, name in enumerate(sorted(self.layers)):
            sound += NOISE[name] * np.random.default_rng(n).normal(size=sound.shape).astype(np.float32)
        if "clicking" in self.layers:
            sound[5000] += self.click
        return lambda: {"audio": sound}

    def close(self):
        pass


@pytest.fixture
def tried():
    return []


@pytest.fixture
def bench(tried):
    feeds = {"sound": SPEECH}
    level = float(np.sqrt(np.mean(SPEECH**2)))
    found = Reference((Case("real", feeds),), ({"audio": SPEECH},), {"audio": level})
    piece = Piece("audio", RATE, (feeds,), SPEECH)
    click = 0.1 * float(np.abs(SPEECH).max())

    def engine(layers):
        return Changed(layers, click, tried)

    return Bench(engine, found, least_snr=15.0, seconds=60.0, pieces=(piece,))


def version(kept):
    return frozenset(WORK) - kept


def test_all_layers_are_changed_but_those_that_do_too_much_harm(bench):
    found = chosen(WORK, version, bench)
    assert set(found.changed) == {"much", "some", "little", "clicking"}
    notes = told(found)
    assert notes[0] == "4 of 5 layers changed, which have 87% of the multiplications"
    assert notes[1].startswith("awful alone takes")


def test_what_is_compared_at_last_counts_though_single_layers_are_measured_on_less(bench):
    """A soft second recording, which only the whole comparison has: there the same noise is more."""
    soft = {"sound": SPEECH * np.float32(0.05)}
    cases = (Case("soft", soft), Case("real", {"sound": SPEECH}), Case("real", {"sound": SPEECH}))
    found = Reference(cases, tuple({"audio": case.feeds["sound"]} for case in cases), {"audio": 0.0})
    layers = chosen(WORK, version, replace(bench, reference=found, pieces=()))
    assert replace(bench, reference=found).lacking(frozenset(WORK) - {"awful"})
    assert not replace(bench, reference=found).lacking(frozenset(layers.changed))
    assert layers.changed


def test_a_refusal_is_searched_though_nothing_is_known_of_the_layers(bench):
    found = chosen(WORK, version, bench, None, {"residual": 2.0})
    assert found.harm.keys() == WORK.keys()
    assert found.changed
    assert not {"awful", "clicking"} & set(found.changed)


def test_a_figure_that_the_gate_refused_is_held_harder_and_nothing_is_measured_again(bench, tried):
    search = Search()
    first = search.layers["int8"] = chosen(WORK, version, bench)
    search.refused({"residual": (0.5, 0.25)})
    assert search.refusals == ("4 of 5 layers changed: refused by the quality gate: residual 0.5 > 0.25",)
    tried.clear()
    second = chosen(WORK, version, bench, search.layers["int8"], search.failed)
    assert set(second.changed) == {"much", "some", "little"}, "the click is what stands out"
    assert second.harm == first.harm
    assert all(len(layers) > 1 for layers in tried), "no layer is changed alone again"


def test_what_no_piece_can_tell_makes_all_harder_and_fewer_are_changed_each_time(bench):
    known, search = chosen(WORK, version, bench), Search()
    counts = [len(known.changed)]
    for _ in range(4):
        search.layers["int8"] = known
        search.refused({"words_lost": (3.0, 2.0), "clicks": (1.0, 0.0), "distillmos_drop": (0.01, 0.05)})
        known = chosen(WORK, version, bench, known, search.failed)
        counts.append(len(known.changed))
    assert all(later < earlier or later == 0 for earlier, later in zip(counts, counts[1:], strict=False))


def test_layers_that_were_all_borne_are_measured_when_the_gate_refuses_them(bench):
    work = {name: WORK[name] for name in ("much", "some", "little")}

    def fewer(kept):
        return frozenset(work) - kept

    whole = chosen(work, fewer, bench)
    assert (whole.harm, whole.changed) == ({}, ("much", "some", "little"))
    assert told(whole) == ()
    again = chosen(work, fewer, bench, whole, {"clicks": 1.25})
    assert again.changed == ("much",), "the layers that save least for their harm are left out first"


def test_layers_that_only_together_give_another_length_are_parted_and_the_others_stay(bench):
    work = {name: WORK.get(name, 1.0) for name in ("much", "some", "little", "longer")}

    def together(kept):
        return frozenset(work) - kept

    found = chosen(work, together, bench)
    assert found.changed == ("much", "some"), "those that save least are left out first"


def test_what_was_found_is_kept_between_tries(tmp_path):
    search = Search(layers={"int8": Layers({"a": 2.0}, {"a": {"snr": 0.5}}, ("a",))})
    search.refused({"residual": (0.3, 0.25)})
    search.save(tmp_path / "layers.json")
    assert Search.read(tmp_path / "layers.json") == search
    assert Search.read(tmp_path / "none.json") == Search()


def test_a_version_is_loaded_once(bench):
    """Another engine's form lies in a folder that goes when it has been loaded."""
    loaded = []

    def once(layers):
        assert not any(layers is each for each in loaded)
        loaded.append(layers)
        return bench.engine(layers)

    assert chosen(WORK, lambda kept: frozenset([*WORK]) - kept, replace(bench, engine=once)).changed
