"""The OpenVINO engine on small graphs that are made here."""

import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from sonorant.errors import EngineError, ModelFileError, SettingsError, SignatureError
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.openvino import OpenVino
from sonorant.networks.engines.openvino_options import OpenVinoOptions

heavy = pytest.mark.heavy  # needs openvino, which `make test-systems` installs


def feeds(frames=50):
    mel = np.random.default_rng(frames).standard_normal((1, 6, frames), np.float32)
    return {"mel": mel, "noise": np.zeros(1, np.float32)}


@pytest.fixture
def model(net, tmp_path):
    return net.save(tmp_path / "net.onnx", net.vocoder("mel", (4, 4)))


@heavy
@pytest.mark.parametrize("frames", [1, 37, 200])
def test_it_computes_what_onnx_runtime_does(model, frames):
    expected = OnnxRuntime(model).prepare(feeds(frames))()
    found = OpenVino(model).prepare(feeds(frames))()
    assert found.keys() == expected.keys() == {"audio"}
    np.testing.assert_allclose(found["audio"], expected["audio"], atol=1e-5)


@heavy
def test_openvino_tells_nobody_that_it_is_used():
    look = "import sys; from sonorant.networks.engines.openvino import openvino; openvino(); import openvino.tools.ovc; "
    look += (
        "print(sorted(name for name, found in sys.modules.items() if 'openvino_telemetry' in name and found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


@heavy
def test_it_declares_the_files_tensors(model):
    ours, theirs = OpenVino(model), OnnxRuntime(model)
    assert [(t.name, t.dtype, len(t.dims)) for t in (*ours.inputs, *ours.outputs)] == [
        (t.name, t.dtype, len(t.dims)) for t in (*theirs.inputs, *theirs.outputs)
    ]
    assert ours.provider.endswith("CPU f32")


@heavy
@pytest.mark.parametrize(
    "wrong",
    [
        {"mel": np.zeros((1, 6, 5))},
        {"mel": np.zeros((6, 5), np.float32)},
        {"noise": np.zeros(1, np.int64)},
        {"more": np.zeros(1, np.float32)},
    ],
)
def test_what_openvino_would_take_silently_is_refused(model, wrong):
    with pytest.raises(SignatureError):
        OpenVino(model).prepare({**feeds(), **wrong})


@heavy
def test_results_stay_as_they_are_when_the_next_run_comes(model):
    engine = OpenVino(model)
    first = engine.prepare(feeds(20))()["audio"]
    before = first.copy()
    engine.prepare(feeds(30), large=True)()
    engine.prepare(feeds(21))()
    np.testing.assert_array_equal(first, before)


@heavy
def test_runs_of_several_threads_do_not_mix(model):
    engine = OpenVino(model)
    expected = {n: engine.prepare(feeds(n))()["audio"] for n in range(5, 13)}
    found = {}

    def run(n):
        for _ in range(5):
            found[n] = engine.prepare(feeds(n))()["audio"]

    threads = [threading.Thread(target=run, args=(n,)) for n in expected]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for n, audio in expected.items():
        np.testing.assert_allclose(found[n], audio, atol=1e-6)


@heavy
def test_a_run_that_was_stopped_ends_long_before_its_end(model):
    engine = OpenVino(model)
    call = engine.prepare(feeds(300_000), large=True)
    timer = threading.Timer(0.2, call.stop)
    timer.start()
    started = time.monotonic()
    with pytest.raises(EngineError, match="told to stop"):
        call()
    assert time.monotonic() - started < 30  # the whole of it takes minutes, or more memory than there is
    assert engine.prepare(feeds(5))()["audio"].shape == (1, 1, 80)
    stopped = engine.prepare(feeds(5))
    stopped.stop()
    with pytest.raises(EngineError, match="told to stop"):
        stopped()


@heavy
def test_what_is_no_model_is_named(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(ModelFileError, match=r"OpenVINO .* cannot load net\.onnx"):
        OpenVino(path)


@heavy
def test_a_device_that_it_does_not_drive_is_refused(model):
    with pytest.raises(EngineError, match="cuda"):
        OpenVino(model, device="cuda")


def test_options_have_openvinos_names():
    assert OpenVinoOptions().values["INFERENCE_PRECISION_HINT"] == "f32"
    assert OpenVinoOptions({"INFERENCE_NUM_THREADS": "3"}).values["INFERENCE_NUM_THREADS"] == 3
    with pytest.raises(SettingsError, match="Did you mean 'NUM_STREAMS'"):
        OpenVinoOptions({"NUM_STREAM": 2})
    with pytest.raises(SettingsError, match="INFERENCE_PRECISION_HINT = 'int8'.*one of f32"):
        OpenVinoOptions({"INFERENCE_PRECISION_HINT": "int8"})
