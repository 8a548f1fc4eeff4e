"""What is measured, and what follows from it."""

from dataclasses import replace

import pytest

from doctor.machines import GOOD, machine, with_card
from sonorant.doctor import speed
from sonorant.doctor.advice import advice
from sonorant.doctor.compatibility import misfits
from sonorant.doctor.minimum import shortcomings
from sonorant.doctor.processor import Ram
from sonorant.errors import EngineError
from sonorant.settings import load_settings


@pytest.fixture
def empty(tmp_path):
    return load_settings(None, {"catalogue": {"home": str(tmp_path)}})


def test_without_a_voice_a_product_of_matrices_is_measured(empty, monkeypatch):
    monkeypatch.setattr(speed, "_SECONDS", 0.05)
    monkeypatch.setattr(speed, "_ask", lambda name, arguments: getattr(speed, name)(**arguments))
    found = speed.measure(empty, 4)
    assert "matmul" in found.what
    assert found.gflops > 0.1
    assert (found.rtf, found.streams) == (None, 0)


def test_a_measurement_that_fails_says_so(empty, monkeypatch):
    def ask(name, arguments):
        raise EngineError(f"{name} ended unexpectedly (SIGILL)")

    monkeypatch.setattr(speed, "_ask", ask)
    assert "SIGILL" in speed.measure(empty, 4).failed


def runs(one, four):
    return {
        "runs": [
            {"threads": 1, "rtf": 0.02, "together": one},
            {"threads": 4, "rtf": 0.01, "together": four},
        ]
    }


def test_fewer_threads_are_advised_where_they_clearly_make_more(empty):
    assert speed._judged(runs(200.0, 100.0)) == speed.Speed("hibari", 0.01, 1, 200.0, 140, 0.0)
    usual = speed._judged(runs(105.0, 100.0))  # by chance
    assert (usual.threads, usual.streams) == (4, 70)
    text = advice(machine(), [], speed._judged(runs(200.0, 100.0)), empty).toml()
    assert "intra_op_num_threads = 1" in text
    assert "intra_op_num_threads" not in advice(machine(), [], usual, empty).toml()


def test_what_is_advised_can_be_read_as_settings(empty, tmp_path):
    file = tmp_path / "advised.toml"
    file.write_text(advice(machine(), [], speed._judged(runs(200.0, 100.0)), empty).toml())
    settings = load_settings(file)
    assert settings.device == "cpu"
    assert "hibari" in settings.models


def test_models_that_do_not_fit_in_the_memory_are_left_out_the_largest_first(empty):
    small = advice(machine(ram=Ram(1 << 30, 500 << 20, 400 << 20)), [], None, empty).models
    assert "hibari" in small
    assert "whisper-base" not in small


@pytest.mark.parametrize(
    "below",
    [
        {"processor": replace(GOOD.processor, usable=2)},
        {"ram": Ram(64 << 30, 4 << 30, 1 << 30)},
    ],
)
def test_below_the_minimum_the_advice_is_what_the_finding_says(empty, below):
    """It named two small models as all that should be served, and recommended the large ones."""
    found = machine(**below)
    (finding,) = shortcomings(found)
    models = advice(found, [finding], None, empty).models
    assert finding.command == f"sonorant serve {' '.join(models)}"
    assert "whisper-base" not in models


def test_a_gpu_is_advised_where_everything_for_it_fits(empty):
    packages = {"numpy": "2.4.6", "onnxruntime-gpu": "1.26.0", "nvidia-ml-py": "13"}
    libraries = {"cuda": {"version": "12.8"}, "cudnn": {"version": "9.1.0"}}
    whole = machine(cards=with_card("L20", 48, "8.9"), packages=packages, libraries=libraries)
    assert misfits(whole) == []
    assert advice(whole, [], None, empty).device == "cuda"
    broken = machine(cards=with_card("L20", 48, "8.9"), packages=packages)
    assert advice(broken, misfits(broken), None, empty).device == "cpu"


@pytest.mark.heavy
def test_the_default_voice_is_measured_in_a_child():
    settings = load_settings()
    found = speed.measure(settings, 2)
    assert found.what == "hibari"
    assert 0 < found.rtf < 1
    assert found.streams >= 1
