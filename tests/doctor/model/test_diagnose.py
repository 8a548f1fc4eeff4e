"""The whole way: names and paths, the child process and its limits, the catalogue, what is printed."""

import hashlib
import json
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from doctor.model.made import network, saved
from sonorant.catalogue import Catalogue
from sonorant.catalogue.card import File, ModelCard, Url
from sonorant.cli import doctor_model
from sonorant.doctor.model import diagnose, diagnosis, session
from sonorant.doctor.model.child import look
from sonorant.errors import EngineError, ModelFileError
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Task


@pytest.fixture
def catalogue(tmp_path):
    """A model of one file, which is pulled."""
    found = Catalogue(CatalogueSettings(home=tmp_path / "home"))
    path = saved(tmp_path / "card.onnx")
    data = path.read_bytes()
    file = File(
        name="card.onnx",
        sha256=hashlib.sha256(data).hexdigest(),
        size=len(data),
        sources=(Url(url="http://127.0.0.1/card.onnx"),),
    )
    card = ModelCard(
        name="carded",
        revision="1",
        family="silero",
        task=Task.VAD,
        languages=("*",),
        licence="MIT",
        files=(file,),
    )
    found.cards = [card]
    folder = found.store.folder(card)
    folder.mkdir(parents=True)
    shutil.move(path, folder / "card.onnx")
    return found


@pytest.fixture
def place(catalogue):
    return catalogue.store.folder(catalogue.cards[0]) / "card.onnx"


@pytest.fixture
def inside(monkeypatch):
    """The child's function in this process, which saves a second a test."""

    def confined(target, arguments, **limits):
        return json.loads(json.dumps(look(**arguments)))

    monkeypatch.setattr(diagnosis, "confined", confined)


def codes(diagnosis):
    return [finding.code for finding in diagnosis.findings]


def test_a_model_of_the_catalogue(catalogue):
    found = diagnose("carded", catalogue)
    assert found.healthy
    assert found.findings == ()
    assert found.files[0].inputs == ("x: float32 [T, 32]",)


def test_a_model_that_was_never_pulled(catalogue, place):
    shutil.rmtree(place.parent)
    found = diagnose("carded", catalogue)
    assert codes(found) == ["not-pulled"]
    assert found.findings[0].remedy == "Run `sonorant pull carded@1`"


def test_a_file_of_the_catalogue_that_is_gone(catalogue, place, inside):
    place.rename(place.parent / "other.onnx")
    (finding,) = diagnose("carded", catalogue).findings
    assert (finding.code, finding.where) == ("file-missing", "card.onnx")
    assert finding.remedy == "Run `sonorant pull carded@1 --force`"


def changed(path: Path) -> None:
    """Another number in a weight: nothing but a checksum finds it."""
    data = bytearray(path.read_bytes())
    data[data.index(network().graph.initializer[0].raw_data) + 2] ^= 1
    path.write_bytes(data)


def test_other_bytes_than_the_card_says(catalogue, place, inside):
    changed(place)
    (finding,) = diagnose("carded", catalogue).findings
    assert finding.code == "hash-mismatch"
    assert "sha256" in finding.why
    assert finding.remedy == "Run `sonorant pull carded@1 --force`"


def test_a_file_by_its_path_that_the_catalogue_knows(catalogue, place, tmp_path, inside):
    changed(place)
    copy = tmp_path / "elsewhere" / "card.onnx"
    copy.parent.mkdir()
    shutil.copy(place, copy)
    for path in (place, copy):
        assert codes(diagnose(str(path), catalogue)) == ["hash-mismatch"]
    os.truncate(copy, copy.stat().st_size - 4)
    assert codes(diagnose(str(copy), catalogue)) != ["hash-mismatch"], (
        "of another size it may be another model"
    )


def test_a_truncated_file_of_the_catalogue_is_told_once_with_the_command(catalogue, place, inside):
    os.truncate(place, 1000)
    (finding,) = diagnose("carded", catalogue).findings
    assert finding.code == "truncated"
    assert finding.remedy == "Run `sonorant pull carded@1 --force`"


def test_what_was_published_with_zeros_was_meant_so(catalogue, place, inside):
    zeros = network(np.zeros((32, 32), np.float32)).SerializeToString()
    place.write_bytes(zeros)
    card = catalogue.cards[0]
    file = replace(card.files[0], sha256=hashlib.sha256(zeros).hexdigest(), size=len(zeros))
    catalogue.cards = [replace(card, files=(file,))]
    found = diagnose("carded", catalogue)
    assert codes(found) == ["zeroed-weights"]
    assert found.healthy


def test_what_is_not_there(catalogue, tmp_path):
    with pytest.raises(ModelFileError, match="no file, no folder and no model of the catalogue"):
        diagnose(str(tmp_path / "nothing.onnx"), catalogue)
    with pytest.raises(ModelFileError, match="no file and no folder"):
        diagnose("/dev/null", catalogue)


def test_a_link_to_nothing(catalogue, tmp_path):
    path = tmp_path / "model.onnx"
    path.symlink_to(tmp_path / "blobs" / "gone")
    (finding,) = diagnose(str(path), catalogue).findings
    assert (finding.code, finding.where) == ("broken-link", "model.onnx")
    path.unlink()
    path.symlink_to(path)
    assert codes(diagnose(str(path), catalogue)) == ["broken-link"]


def test_a_child_that_crashes_is_a_finding_and_the_rest_is_told(catalogue, place, monkeypatch):
    """Of a file that ends ONNX Runtime's process all but that is still told."""
    asked = []

    def confined(target, arguments, *, progress, **limits):
        asked.append(arguments["without"])
        if "load card.onnx" not in arguments["without"]:
            progress(0.5, "load card.onnx")
            raise EngineError("look ended unexpectedly (SIGSEGV)", why="It said nothing")
        return real(target, arguments, progress=progress, **limits)

    real = diagnosis.confined
    monkeypatch.setattr(diagnosis, "confined", confined)
    found = diagnose("carded", catalogue)
    assert [f.code for f in found.findings] == ["engine-crashed"]
    assert "SIGSEGV" in found.findings[0].why
    assert found.files[0].operators == {"MatMul": 1, "Relu": 1}
    assert asked[0] == [] or len(asked) == 2


def test_a_child_that_always_crashes_is_not_asked_for_ever(catalogue, monkeypatch):
    def confined(*_, **__):
        raise EngineError("look did not finish within 60 s")

    monkeypatch.setattr(diagnosis, "confined", confined)
    found = diagnose("carded", catalogue)
    assert codes(found) == ["reader-crashed"], "of no file: another child would end alike"
    assert not found.healthy


def test_a_reader_that_needs_too_much_memory_ends_and_is_told(catalogue, place, monkeypatch):
    monkeypatch.setattr(diagnosis, "_MEMORY", 120 << 20)
    monkeypatch.setattr(diagnosis, "_CHILDREN", 1)
    assert set(codes(diagnose("carded", catalogue))) <= {"reader-crashed", "engine-crashed", "invalid-graph"}
    assert not diagnose("carded", catalogue).healthy


# what is printed


@pytest.fixture
def shown(catalogue, monkeypatch, capsys, inside):
    monkeypatch.setattr("sonorant.catalogue.Catalogue", lambda settings: catalogue)

    def show(model, **how):
        status = doctor_model.show(str(model), **{"as_json": False, **how})
        told = capsys.readouterr()
        return status, told.out, told.err

    return show


def test_a_healthy_model_gets_a_summary_and_status_0(shown):
    status, out, err = shown("carded")
    assert (status, err) == (0, "")
    for words in ("carded: healthy", "ONNX", "MatMul 1", "ai.onnx 17", "1,024", "x: float32 [T, 32]"):
        assert words in out


def test_an_ill_one_gets_cause_and_remedy_and_status_1(shown, place):
    changed(place)
    status, out, err = shown("carded")
    assert (status, err) == (1, "")
    for words in ("not usable", "error (hash-mismatch) card.onnx", "cause: ", "remedy: Run `sonorant pull"):
        assert words in out


def test_what_prepare_mends_for_an_engine_is_told_and_status_0(shown, tmp_path, monkeypatch):
    """The parser takes what has weights beside it, which is how preparing writes a graph."""
    monkeypatch.setattr(
        "sonorant.networks.engines.tensorrt_library.refused",
        lambda path: [] if (path.parent / "weights").is_file() else ["Relu relu: no"],
    )
    saved(tmp_path / "own.onnx")
    status, out, _ = shown(tmp_path / "own.onnx", engine="tensorrt")
    assert status == 0
    for words in (
        "own.onnx: healthy",
        "warning (tensorrt-rewritten)",
        "cause: Relu relu: no",
        "remedy: Prepare it",
    ):
        assert words in out


def test_what_cannot_be_looked_at_gets_status_2(shown):
    status, out, err = shown("nothing-of-that-name")
    assert (status, out) == (2, "")
    assert "no model of the catalogue" in err
    status, out, err = shown("nothing-of-that-name", as_json=True)
    assert (status, err) == (2, "")
    assert "no model of the catalogue" in json.loads(out)["error"]["what"]


def test_json(shown, place):
    changed(place)
    status, out, _ = shown("carded", as_json=True)
    tree = json.loads(out)
    assert status == 1
    assert tree["healthy"] is False
    assert tree["files"][0]["opset"] == {"ai.onnx": 17}
    assert tree["findings"][0]["code"] == "hash-mismatch"
    assert tree["findings"][0]["severity"] == "error"


def test_chinese(shown, place, monkeypatch):
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    changed(place)
    _, out, _ = shown("carded")
    for words in ("不可用", "原因：", "解决办法：", "请运行 `sonorant pull"):
        assert words in out


def test_every_code_is_documented():
    root = Path(doctor_model.__file__).parents[3]
    source = "".join(path.read_text() for path in (root / "src/sonorant/doctor/model").glob("*.py"))
    said = set(re.findall(r'Finding\(\s*"([a-z-]+)"', source)) | set(session._CODES.values())
    assert len(said) > 50
    for page in ("docs/doctor-model.md", "docs/zh/doctor-model.md"):
        table = set(re.findall(r"`([a-z-]+)`", (root / page).read_text()))
        assert said - table == set(), page


# the real models that are here


@pytest.mark.parametrize(("name", "family"), [("silero-vad", "silero"), ("hibari", "hibari")])
def test_real_models_give_no_false_alarm(name, family):
    catalogue = Catalogue(CatalogueSettings())
    card = catalogue.find(name)
    if catalogue.store.missing(card):
        pytest.skip(f"{name} is not here")
    found = diagnose(name, catalogue)
    assert found.family == family
    assert [f for f in found.findings if f.severity != "note"] == []


@pytest.mark.heavy
@pytest.mark.parametrize(
    "name", ["campplus", "kokoro", "moonshine-tiny", "moonshine-base", "piper-joe", "whisper-base"]
)
def test_large_real_models_give_no_false_alarm(name):
    test_real_models_give_no_false_alarm(name, name.partition("-")[0])
