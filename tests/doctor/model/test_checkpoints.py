"""Checkpoints: read as data. Programs in them are named, and never run."""

import io
import os
import pickle
import struct
import zipfile

import numpy as np
import pytest

from doctor.model.made import checkpoint, codes, diagnosed, weights
from sonorant.doctor.model import pickles
from sonorant.doctor.model.child import look


class Bomb:
    """Unpickling it runs a command that leaves a file."""

    def __init__(self, function, *arguments):
        self.made = function, arguments

    def __reduce__(self):
        return self.made


@pytest.fixture
def mark(tmp_path):
    """A file that planted code would create."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists(), "planted code was run"


def legacy(path, values, kept=None):
    """torch.save before 1.6."""
    torch = pytest.importorskip("torch")
    torch.save({"layer.weight": torch.tensor(values)}, path, _use_new_zipfile_serialization=False)
    if kept:
        os.truncate(path, int(path.stat().st_size * kept))
    return path


def test_a_checkpoint_is_healthy(tmp_path):
    outcome = look(str(checkpoint(tmp_path / "model.pt")))
    assert outcome["findings"] == []
    assert outcome["files"][0]["kind"] == "PyTorch"
    assert outcome["files"][0]["dtypes"] == {"float32": 1024}


def test_what_torch_writes_is_healthy(tmp_path):
    torch = pytest.importorskip("torch")
    model = torch.nn.Sequential(torch.nn.Linear(32, 32), torch.nn.Conv1d(4, 4, 3), torch.nn.BatchNorm1d(4))
    state = {"model": model.state_dict(), "half": torch.ones(40, dtype=torch.bfloat16), "step": 7}
    for new in (True, False):
        path = tmp_path / f"{new}.pt"
        torch.save(state, path, _use_new_zipfile_serialization=new)
        outcome = look(str(path))
        assert outcome["findings"] == []
        assert outcome["files"][0]["parameters"] == sum(t.numel() for t in model.state_dict().values()) + 40


@pytest.mark.parametrize("name", ["model.pt", "pytorch_model.bin", "model.pth.tar", "g_02500000"])
def test_truncated(tmp_path, name):
    path = checkpoint(tmp_path / name)
    os.truncate(path, path.stat().st_size // 2)
    diagnosed(path, "truncated", "table of contents", "again")


def test_old_form_truncated(tmp_path):
    diagnosed(legacy(tmp_path / "model.pt", weights(32, 32), 0.5), "weights-size", "layer.weight")
    diagnosed(legacy(tmp_path / "model2.pt", weights(32, 32), 0.02), "truncated", "ends inside a pickle")


def test_nan_and_zeros(tmp_path):
    bad = weights(32, 32)
    bad[0, 7] = np.nan
    diagnosed(checkpoint(tmp_path / "a.pt", bad), "nan-weights", "layer.weight", "diverged")
    diagnosed(checkpoint(tmp_path / "b.pt", np.zeros((32, 32), np.float32)), "zeroed-weights", "layer.weight")
    diagnosed(legacy(tmp_path / "c.pt", bad), "nan-weights", "layer.weight")


def test_bytes_that_changed(tmp_path):
    diagnosed(checkpoint(tmp_path / "a.pt", damage=b"\1\2\3\4"), "damaged", "checksum", "layer.weight")


def test_a_storage_that_is_missing_or_short(tmp_path):
    diagnosed(checkpoint(tmp_path / "a.pt", drop=["data/0"]), "weights-size", "layer.weight", "truncated")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4, 5])
def test_a_planted_command_is_named_and_not_run(tmp_path, mark, protocol):
    path = tmp_path / "model.pkl"
    path.write_bytes(pickle.dumps({"weights": Bomb(os.system, f"touch {mark}")}, protocol))
    if protocol < 2:  # text: its first bytes tell nothing
        assert set(codes(path)) <= {"not-a-model", "misnamed", "pickle-runs-code"}
    else:
        diagnosed(path, "pickle-runs-code", "system", "A pickle is a program", "Do not load it")


@pytest.mark.parametrize(
    "function",
    [exec, eval, __import__, getattr, os.popen, pickle.loads, compile, open],
    ids=lambda f: f.__name__,
)
def test_whatever_could_run_something_is_named(tmp_path, mark, function):
    path = tmp_path / "model.bin"
    code = f"open({str(mark)!r}, 'w')"
    path.write_bytes(pickle.dumps([Bomb(function, code)], 4))
    diagnosed(path, "pickle-runs-code", function.__name__, "safetensors")


def test_a_command_in_a_checkpoint_is_not_run(tmp_path, mark):
    path = checkpoint(tmp_path / "model.pt", drop=["data.pkl"])
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/data.pkl", pickle.dumps(Bomb(os.system, f"touch {mark}"), 2))
    diagnosed(path, "pickle-runs-code", "system")


def test_a_name_that_is_put_together_at_run_time(tmp_path):
    # STACK_GLOBAL on what a call returns: nobody can tell what it imports
    program = (
        b"\x80\x04" + b"\x8c\x02os" + b"cbuiltins\nstr\n" + b"\x8c\x06system" + b"\x85R" + b"\x93" + b"."
    )
    path = tmp_path / "model.pkl"
    path.write_bytes(program)
    diagnosed(path, "pickle-runs-code", "?")


def test_a_name_that_reaches_through_a_harmless_module(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x04\x8c\x05torch\x8c\x09os.system\x93\x8c\x04true\x85R.")
    diagnosed(path, "pickle-runs-code", "torch.os.system")


def test_a_whole_object_needs_its_code(tmp_path):
    path = checkpoint(tmp_path / "model.pt", imports=("my_project.models", "Generator"))
    diagnosed(path, "pickle-needs-code", "my_project.models.Generator", "state_dict()")


def test_torchscript_is_named_and_not_run(tmp_path, mark):
    path = checkpoint(tmp_path / "model.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/constants.pkl", pickle.dumps((), 2))
        archive.writestr("model/code/__torch__.py", f"open({str(mark)!r}, 'w')")
    diagnosed(path, "torchscript", "TorchScript", "runs a program", "ONNX")


@pytest.mark.heavy
def test_real_torchscript(tmp_path):
    torch = pytest.importorskip("torch")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.trace(torch.nn.Linear(4, 4), torch.ones(1, 4)), str(tmp_path / "model.pt"))
    diagnosed(tmp_path / "model.pt", "torchscript", "TorchScript")


def test_a_torch_package_is_named(tmp_path):
    path = checkpoint(tmp_path / "model.pt")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("model/.data/extern_modules", "os\n")
    diagnosed(path, "torchscript", "torch.package")


def test_another_zip(tmp_path):
    path = tmp_path / "model.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("kokoro/model.onnx", b"x")
    diagnosed(path, "packed", "kokoro/model.onnx", "Unpack")


def test_a_pickle_that_is_none(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"\x80\x02" + bytes(range(1, 200)))
    diagnosed(path, "truncated", "pickle")


def test_a_pickle_that_nests_without_end_ends(tmp_path):
    program = b"\x80\x02" + b"]" * 50_000 + b"a" * 49_999 + b"."
    path = tmp_path / "model.pt"
    path.write_bytes(program)
    assert codes(path) == {}


def test_pickles_are_read_as_they_would_be_loaded():
    value = {"a": [1, 2.5, "x", None, True, b"y"], "b": (1, (2, 3)), "c": {"d": -7}, "e": 1 << 80}
    for protocol in range(3, 6):  # before, bytes were calls
        assert pickles.read(io.BytesIO(pickle.dumps(value, protocol))).value == value, protocol


def test_an_extension_code_is_no_data(tmp_path):
    path = tmp_path / "model.pkl"
    path.write_bytes(b"\x80\x02\x82" + struct.pack("B", 7) + b".")
    diagnosed(path, "pickle-runs-code", "extension 7")
