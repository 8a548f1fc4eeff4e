"""What is no model, other formats, and what is wrong with .ort, .safetensors, .tflite, CTranslate2 and engines."""

import gzip
import os
import struct
import tarfile

import flatbuffers
import numpy as np
import pytest

from doctor.model.made import codes, diagnosed, network, safetensors, saved, weights
from sonorant.doctor.model.child import look

ENDINGS = ["onnx", "ort", "pt", "safetensors", "tflite"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_an_empty_file(tmp_path, ending):
    path = tmp_path / f"model.{ending}"
    path.touch()
    diagnosed(path, "empty-file", "never began", "again")


@pytest.mark.parametrize("ending", [*ENDINGS, "bin", "json"])
def test_a_git_lfs_pointer(tmp_path, ending):
    path = tmp_path / f"model.{ending}"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 92361271\n")
    diagnosed(path, "lfs-pointer", "92361271 bytes", "git lfs pull")


@pytest.mark.parametrize(
    "page", ["<!DOCTYPE html>\n<html><body>Log in", "\n <html>", '<?xml version="1.0"?>\n<Error>']
)
def test_a_web_page(tmp_path, page):
    path = tmp_path / "model.onnx"
    path.write_text(page)
    diagnosed(path, "web-page", "log-in", "/resolve/")


@pytest.mark.parametrize(
    "text", ["Entry not found", '{"error": "Invalid username or password."}', "Access to model is restricted"]
)
def test_a_servers_message(tmp_path, text):
    path = tmp_path / "model.onnx"
    path.write_text(text)
    diagnosed(path, "error-message", text[:20], "logged in")


def test_reserved_and_never_filled(tmp_path):
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"\0" * 300_000)
    diagnosed(path, "zero-bytes", "interrupted", "again")


def test_text(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_text("# Kokoro\n\nA model card.")
    diagnosed(path, "not-a-model", "'# Kokoro", ".onnx")


def test_packed(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(gzip.compress(network().SerializeToString()))
    diagnosed(path, "packed", "gzip", "Unpack")
    with tarfile.open(tmp_path / "model.pth", "w") as archive:
        archive.add(path, "model.onnx")
    diagnosed(tmp_path / "model.pth", "packed", "tar", "Unpack")


@pytest.mark.parametrize(
    ("begin", "kind"),
    [(b"GGUF\3\0\0\0", "GGUF"), (b"\x89HDF\r\n\x1a\n", "HDF5"), (b"\x93NUMPY\1\0", "NumPy")],
)
def test_formats_of_other_engines(tmp_path, begin, kind):
    path = tmp_path / "model.bin"
    path.write_bytes(begin + b"\1" * 100)
    diagnosed(path, "other-format", kind, "another framework", "ONNX")


def test_sound(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"RIFF\x24\0\0\0WAVEfmt ")
    diagnosed(path, "misnamed", ".onnx", "RIFF", "renamed")


def test_renamed(tmp_path):
    diagnosed(saved(tmp_path / "model.tflite"), "misnamed", ".tflite", "ONNX")
    diagnosed(safetensors(tmp_path / "model.onnx"), "misnamed", ".onnx", "safetensors")


def test_random_bytes_of_any_ending_never_crash(tmp_path):
    random = np.random.default_rng(7)
    begins = [b"", b"\x08\x08", b"PK\x03\x04", b"\x80\x04", b"\x10\0\0\0TFL3", b"\x10\0\0\0ORTM", b"ftrt",
              b"\x06\0\0\0\x0c\0WhisperSpec\0", struct.pack("<Q", 40) + b"{"]  # fmt: skip
    for ending in [*ENDINGS, "bin", "engine", "pkl"]:
        for begin in begins:
            path = tmp_path / f"model.{ending}"
            path.write_bytes(begin + random.bytes(600))
            assert "error" in codes(path).values(), (ending, begin)


def test_changed_bytes_never_crash(tmp_path):
    """Of each format a whole file, with some bytes changed."""
    random = np.random.default_rng(3)
    makers = {"onnx": saved, "safetensors": safetensors, "tflite": tflite}
    whole = {ending: make(tmp_path / f"whole.{ending}").read_bytes() for ending, make in makers.items()}
    whole |= {"bin": ctranslate2(tmp_path / "whole.bin", weights(32, 32)).read_bytes()}
    for ending, data in whole.items():
        for _ in range(15):
            changed = bytearray(data)
            for at in random.integers(0, min(len(data), 600), 8):
                changed[at] = random.integers(256)
            path = tmp_path / f"changed.{ending}"
            path.write_bytes(changed)
            codes(path)


# safetensors


def test_safetensors_are_healthy(tmp_path):
    outcome = look(str(safetensors(tmp_path / "model.safetensors")))
    assert outcome["findings"] == []
    assert outcome["files"][0]["parameters"] == 1024


def test_safetensors_truncated(tmp_path):
    path = safetensors(tmp_path / "model.safetensors")
    os.truncate(path, path.stat().st_size - 1)
    diagnosed(path, "truncated", "by its own account", "again")
    os.truncate(path, 30)
    diagnosed(path, "truncated", "header")


@pytest.mark.parametrize(
    "header", [b"{nothing", b"{}x", b'{"a": 1}', b'{"a": {"dtype": "F32"}}', b"{" * 5000]
)
def test_safetensors_header_damaged(tmp_path, header):
    diagnosed(safetensors(tmp_path / "model.safetensors", header), "damaged", "safetensors writes", "again")


@pytest.mark.parametrize("offsets", [[0, 100], [-4, 4092], [4096, 0]])
def test_safetensors_offsets_that_do_not_fit(tmp_path, offsets):
    header = {"layer.weight": {"dtype": "F32", "shape": [32, 32], "data_offsets": offsets}}
    found = codes(safetensors(tmp_path / "model.safetensors", header))
    assert found in ({"weights-size": "error"}, {"damaged": "error"})


def test_safetensors_values(tmp_path):
    bad = weights(32, 32)
    bad[1, 1] = np.nan
    diagnosed(safetensors(tmp_path / "a.safetensors", data=bad.tobytes()), "nan-weights", "layer.weight")
    header = {
        "a.weight": {"dtype": "F32", "shape": [32, 32], "data_offsets": [0, 4096]},
        "b.weight": {"dtype": "F32", "shape": [32, 32], "data_offsets": [4096, 8192]},
    }
    path = safetensors(tmp_path / "b.safetensors", header, weights(32, 32).tobytes() + b"\0" * 4096)
    diagnosed(path, "zeroed-weights", "b.weight", "never filled")


# .ort


@pytest.fixture(scope="module")
def ort(tmp_path_factory):
    """An .ort file, by ONNX Runtime's own writer."""
    import onnxruntime as runtime

    folder = tmp_path_factory.mktemp("ort")
    options = runtime.SessionOptions()
    options.optimized_model_filepath = str(folder / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    runtime.InferenceSession(saved(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
    return (folder / "model.ort").read_bytes()


def test_an_ort_file_is_healthy(tmp_path, ort):
    (tmp_path / "model.ort").write_bytes(ort)
    outcome = look(str(tmp_path / "model.ort"))
    assert outcome["findings"] == []
    assert outcome["files"][0]["kind"] == "ORT"
    assert outcome["files"][0]["operators"]["MatMul"] == 1


@pytest.mark.parametrize("kept", [0.2, 0.6, 0.9])
def test_an_ort_file_truncated(tmp_path, ort, kept):
    (tmp_path / "model.ort").write_bytes(ort[: int(len(ort) * kept)])
    diagnosed(tmp_path / "model.ort", "truncated", "beyond its", "again")


def test_an_ort_file_of_another_version(tmp_path, ort):
    at = ort.index(b"\x01\0\0\x006\0")  # the version's text, "6"
    (tmp_path / "model.ort").write_bytes(ort[: at + 4] + b"9" + ort[at + 5 :])
    diagnosed(tmp_path / "model.ort", "ort-format", "version", "convert_onnx_models_to_ort")


def test_nan_in_an_ort_file(tmp_path, ort):
    values = weights(32, 32)
    at = ort.index(values.tobytes()[:64])
    (tmp_path / "model.ort").write_bytes(ort[:at] + b"\0\0\xc0\x7f" + ort[at + 4 :])
    diagnosed(tmp_path / "model.ort", "nan-weights", "w")


# .tflite


def tflite(path, values=None, *, custom=None):
    """One fully connected operator, or a custom one."""
    values = weights(32, 32) if values is None else values
    b = flatbuffers.Builder(1024)

    def table(*fields):
        b.StartObject(len(fields))
        for slot, (kind, value) in enumerate(fields):
            if kind == "ref" and value:
                b.PrependUOffsetTRelativeSlot(slot, value, 0)
            elif kind == "byte":
                b.PrependInt8Slot(slot, value, 0)
            elif kind == "int":
                b.PrependInt32Slot(slot, value, 0)
        return b.EndObject()

    def refs(*offsets):
        b.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            b.PrependUOffsetTRelative(offset)
        return b.EndVector()

    def ints(*numbers):
        return b.CreateNumpyVector(np.array(numbers, np.int32))

    name = b.CreateString(custom) if custom else 0
    code = table(("byte", 32 if custom else 9), ("ref", name), ("int", 1), ("int", 32 if custom else 9))
    buffers = refs(table(), table(("ref", b.CreateNumpyVector(np.frombuffer(values.tobytes(), np.uint8)))))
    x = table(("ref", ints(1, 32)), ("byte", 0), ("int", 0), ("ref", b.CreateString("x")))
    w = table(("ref", ints(32, 32)), ("byte", 0), ("int", 1), ("ref", b.CreateString("w")))
    y = table(("ref", ints(1, 32)), ("byte", 0), ("int", 0), ("ref", b.CreateString("y")))
    operator = table(("int", 0), ("ref", ints(0, 1)), ("ref", ints(2)))
    graph = table(("ref", refs(x, w, y)), ("ref", ints(0)), ("ref", ints(2)), ("ref", refs(operator)))
    description = b.CreateString("made for a test")
    model = table(
        ("int", 3), ("ref", refs(code)), ("ref", refs(graph)), ("ref", description), ("ref", buffers)
    )
    b.Finish(model, b"TFL3")
    path.write_bytes(bytes(b.Output()))
    return path


def test_a_tflite_file_is_healthy(tmp_path):
    outcome = look(str(tflite(tmp_path / "model.tflite")))
    assert outcome["findings"] == []
    (facts,) = outcome["files"]
    assert (facts["kind"], facts["parameters"], facts["producer"]) == ("LiteRT", 1024, "made for a test")
    assert facts["inputs"] == ("x: float32 [1, 32]",)


def test_a_tflite_file_truncated(tmp_path):
    path = tflite(tmp_path / "model.tflite")
    os.truncate(path, path.stat().st_size // 2)
    diagnosed(path, "truncated", "beyond its", "again")


def test_a_tflite_file_with_a_custom_operator(tmp_path):
    path = tflite(tmp_path / "model.tflite", custom="FlexErf")
    diagnosed(path, "custom-operator", "FlexErf", "TFLITE_BUILTINS")


def test_a_tflite_file_with_zeros(tmp_path):
    diagnosed(tflite(tmp_path / "model.tflite", np.zeros((32, 32), np.float32)), "zeroed-weights", "w")


# CTranslate2, TensorRT


def ctranslate2(path, values):
    name = b"encoder/weight\0"
    variable = struct.pack("<H", len(name)) + name + struct.pack("<B2IBI", 2, *values.shape, 0, values.nbytes)
    spec = b"WhisperSpec\0"
    head = struct.pack("<IH", 6, len(spec)) + spec + struct.pack("<II", 3, 1)
    path.write_bytes(head + variable + values.tobytes())
    return path


def test_ctranslate2(tmp_path):
    outcome = look(str(ctranslate2(tmp_path / "model.bin", weights(32, 32))))
    assert outcome["findings"] == []
    assert outcome["files"][0]["parameters"] == 1024
    os.truncate(tmp_path / "model.bin", 2000)
    diagnosed(tmp_path / "model.bin", "truncated", "last variable")
    bad = ctranslate2(tmp_path / "model.bin", np.zeros((32, 32), np.float32))
    diagnosed(bad, "zeroed-weights", "encoder/weight")


@pytest.mark.parametrize(
    ("name", "begin"), [("model.engine", b"ftrt"), ("model.plan", b"??"), ("model.bin", b"ptrt")]
)
def test_a_tensorrt_engine_is_named(tmp_path, name, begin):
    path = tmp_path / name
    path.write_bytes(begin + b"\1" * 5000)
    diagnosed(path, "tensorrt-engine", "machine code", "sonorant prepare MODEL --to tensorrt")


def test_a_tensorrt_engine_that_is_too_short(tmp_path):
    path = tmp_path / "model.engine"
    path.write_bytes(b"ftrt" + b"\1" * 50)
    diagnosed(path, "truncated", "fewer than any engine", "Build the engine again")
