"""ONNX Runtime on a GPU: the same sound, several runs at once, memory given back, faults told as what they are."""

import threading
import time

import numpy as np
import pytest

from gpus import at_once, decibels, mel, memory, most_memory
from sonorant.errors import EngineError
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.observe.meter import out_of_memory
from sonorant.replica.memory import poisoned

pytestmark = pytest.mark.usefixtures("onnxruntime_cuda")


@pytest.mark.parametrize(("tf32", "least"), [(False, 90), (True, 45)])
def test_it_computes_what_a_processor_computes(vocoder, tf32, least):
    on_cpu = OnnxRuntime(vocoder)
    on_gpu = OnnxRuntime(vocoder, OnnxRuntimeOptions({"use_tf32": tf32}), "cuda")
    assert on_gpu.provider == "CUDAExecutionProvider"
    for frames in (7, 50, 333):
        expected, found = (engine.prepare(mel(frames))()["audio"] for engine in (on_cpu, on_gpu))
        assert decibels(expected, found) > least


def test_runs_at_once_give_what_each_gives_alone(vocoder):
    engine = OnnxRuntime(vocoder, device="cuda")
    alone = {frames: engine.prepare(mel(frames))()["audio"] for frames in range(20, 60, 5)}

    def work(number: int) -> None:
        for frames, expected in list(alone.items())[number:] + list(alone.items())[:number]:
            assert decibels(expected, engine.prepare(mel(frames))()["audio"]) > 90

    at_once(4, work)


def test_a_run_that_is_told_to_stop_ends(vocoder):
    engine = OnnxRuntime(vocoder, device="cuda")
    feeds = mel(3000, batch=8)
    engine.prepare(feeds, large=True)()
    call = engine.prepare(feeds, large=True)
    threading.Timer(0.005, call.stop).start()

    def again_and_again() -> None:
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:  # the stop may come between two of them
            call()

    with pytest.raises(EngineError):
        again_and_again()


def test_a_large_run_leaves_nothing_behind(vocoder):
    engine = OnnxRuntime(vocoder, device="cuda")
    engine.prepare(mel(50))()
    before = memory()
    with most_memory() as most:
        engine.prepare(mel(4000, batch=8), large=True)()
        time.sleep(0.05)
    assert most() - before > 200 << 20
    assert memory() - before < 64 << 20


def test_what_does_not_fit_is_told_as_such_and_what_fits_is_computed(vocoder):
    engine = OnnxRuntime(vocoder, OnnxRuntimeOptions({"gpu_mem_limit": 256 << 20}), "cuda")
    expected = engine.prepare(mel(50))()["audio"]
    with pytest.raises(EngineError) as caught:
        engine.prepare(mel(20_000, batch=8), large=True)()
    assert out_of_memory(caught.value)
    assert not poisoned(caught.value)
    np.testing.assert_array_equal(engine.prepare(mel(50))()["audio"], expected)
