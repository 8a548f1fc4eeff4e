"""Derived artefacts: made once on this machine, used only while they are whole and bound to what is here."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from sonorant.networks.artefacts import PROOF, Artefact, Artefacts, device_class
from sonorant.networks.proof import Comparison, Evidence, compare

ENGINE = "onnxruntime 1.2.3 CPUExecutionProvider"


class Maker:
    """Derives "half.bin" and counts how often it had to."""

    def __init__(self, difference: float = 1e-6) -> None:
        self.made, self.difference = 0, difference

    def __call__(self, folder: Path) -> Evidence:
        self.made += 1
        (folder / "half.bin").write_bytes(b"derived")
        return Evidence("half against whole", 1e-4, (Comparison("one", {"y": self.difference}),), {"ms": 2.0})


@pytest.fixture
def source(tmp_path) -> Path:
    path = tmp_path / "downloaded" / "model.onnx"
    path.parent.mkdir()
    path.write_bytes(b"model")
    return path


def store(tmp_path: Path, engine: str = ENGINE) -> Artefacts:
    return Artefacts(tmp_path / "home", engine)


def get(tmp_path: Path, source: Path, make: Maker, **changes: str) -> Artefact | None:
    return store(tmp_path, changes.get("engine", ENGINE)).get(
        source, "cut", changes.get("recipe", "cut-1"), make
    )


def test_it_is_made_once_and_kept_with_a_proof_that_a_person_can_read(tmp_path, source):
    make = Maker()
    first, again = get(tmp_path, source, make), get(tmp_path, source, make)
    assert make.made == 1
    assert first == again
    assert (first.folder / "half.bin").read_bytes() == b"derived"
    assert first.folder.is_relative_to(tmp_path / "home" / "artefacts")
    tree = json.loads((first.folder / PROOF).read_text())
    assert tree["verdict"] == "proven"
    assert tree["bindings"]["engine"] == ENGINE
    assert tree["bindings"]["device"] == device_class()
    assert tree["evidence"]["comparisons"] == [{"data": "one", "differences": {"y": 1e-6}}]
    assert [path.name for path in (tmp_path / "home" / "artefacts").iterdir()] == [tree["bindings"]["source"]]


@pytest.mark.parametrize(
    "changes", [{"engine": "onnxruntime 1.2.4 CPUExecutionProvider"}, {"recipe": "cut-2"}]
)
def test_a_proof_holds_for_nothing_else_than_it_names(tmp_path, source, changes):
    make = Maker()
    get(tmp_path, source, make)
    assert get(tmp_path, source, make, **changes) is not None
    assert make.made == 2


def test_another_processor_and_another_model_need_a_proof_of_their_own(tmp_path, source, monkeypatch):
    make = Maker()
    get(tmp_path, source, make)
    monkeypatch.setattr("sonorant.networks.artefacts.device_class", lambda: "x86_64 avx")
    assert get(tmp_path, source, make).proof.bindings.device == "x86_64 avx"
    source.write_bytes(b"another")
    get(tmp_path, source, make)
    assert make.made == 3


@pytest.mark.parametrize("file", ["half.bin", PROOF])
@pytest.mark.parametrize("damage", [lambda p: p.unlink(), lambda p: p.write_bytes(p.read_bytes()[:-2])])
def test_what_is_damaged_is_made_again(tmp_path, source, file, damage, caplog):
    make = Maker()
    damage(get(tmp_path, source, make).folder / file)
    found = get(tmp_path, source, make)
    assert make.made == 2
    assert "is made again" in caplog.text
    assert (found.folder / "half.bin").read_bytes() == b"derived"


def test_what_lies_beside_a_downloaded_model_counts_for_nothing(tmp_path, source):
    made = get(tmp_path, source, Maker())
    for file in made.folder.iterdir():
        (source.parent / file.name).write_bytes(file.read_bytes())
    make = Maker(difference=1.0)
    assert Artefacts(tmp_path / "another home", ENGINE).get(source, "cut", "cut-1", make) is None
    assert make.made == 1


def test_a_failed_proof_is_told_and_not_tried_at_every_start(tmp_path, source, caplog):
    make = Maker(difference=0.01)
    assert get(tmp_path, source, make) is None
    assert get(tmp_path, source, make) is None
    assert make.made == 1
    told = "cut-1: model.onnx is used as it is: differs by more than 0.0001 (one: y 0.01)"
    assert [record.message for record in caplog.records] == [told, told]
    [kept] = (tmp_path / "home" / "artefacts").glob("*/cut-1")
    assert [path.name for path in kept.iterdir()] == [PROOF]


def test_a_verdict_that_was_written_in_is_not_believed(tmp_path, source):
    get(tmp_path, source, Maker(difference=0.01))
    [path] = (tmp_path / "home" / "artefacts").glob(f"*/cut-1/{PROOF}")
    tree = json.loads(path.read_text())
    path.write_text(json.dumps(tree | {"verdict": "proven"}))
    assert get(tmp_path, source, Maker()) is None


def test_where_making_goes_wrong_the_model_is_used_as_it_is_and_the_next_start_tries_again(
    tmp_path, source, caplog
):
    def full(folder: Path) -> Evidence:
        raise OSError(28, "No space left on device")

    assert store(tmp_path).get(source, "cut", "cut-1", full) is None
    assert "model.onnx is used as it is: OSError: [Errno 28] No space left on device" in caplog.text
    assert list((tmp_path / "home" / "artefacts").iterdir()) == []
    assert get(tmp_path, source, Maker()) is not None


def test_a_home_that_cannot_be_written_is_no_failure(tmp_path, source, caplog):
    (tmp_path / "home").write_text("a file")
    with caplog.at_level(logging.WARNING):
        assert get(tmp_path, source, Maker()) is None
    assert "used as it is" in caplog.text


def test_a_batch_is_proven_like_a_cut(tmp_path, source):
    """Nothing is derived: the proof is about a way to run the model."""

    def run(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"y": rows.astype(np.float32).sum(1)}

    def make(folder: Path) -> Evidence:
        rows = np.arange(12).reshape(3, 4)
        together = run(rows)
        alone = [
            compare(f"row {i} of 3", run(rows[i : i + 1]), {"y": together["y"][i : i + 1]}) for i in range(3)
        ]
        return Evidence("rows of a batch against runs of their own", 0.0, tuple(alone))

    proof = store(tmp_path).get(source, "batch", "batch-1", make).proof
    assert (proof.kind, proof.derived, proof.holds) == ("batch", {}, True)
    assert store(tmp_path).get(source, "batch", "batch-1", None).proof == proof


def test_differences_are_found():
    y = np.array([0.5, 1], np.float32)

    def of(value: np.ndarray) -> float:
        return compare("", {"y": y}, {"y": value}).differences["y"]

    assert of(y + np.float32(0.25)) == 0.25
    assert of(y[:1]) == of(y.astype(np.float64)) == of(np.array([np.nan, 1], np.float32)) == np.inf
    assert compare("", {"y": y}, {}).differences["y"] == np.inf
    assert Evidence("half against whole", 1.0).fault == "nothing was compared"
