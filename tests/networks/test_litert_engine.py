"""The LiteRT engine on a stand-in for its interpreter: lengths, rows, pieces, threads, and what is refused."""

import threading
import weakref
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from sonorant.errors import EngineError, ModelFileError, SignatureError
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines import litert
from sonorant.networks.engines.litert import Buckets, LiteRt

FRAMES = Axis("frames", min=1, typical=8, max=64)
VOCODER = Signature(
    (Tensor("mel", "float32", (BATCH, 2, FRAMES)), Tensor("speaker", "int64", (BATCH,))),
    (Tensor("audio", "float32", (BATCH, Axis("samples"))),),
)
SUMS = Signature(
    (Tensor("x", "float32", (FRAMES, 1)), Tensor("s", "float32", (1,))),
    (Tensor("y", "float32", (Axis("frames"), 1)), Tensor("sn", "float32", (1,))),
    state={"s": "sn"},
)


class Interpreter:
    """Computes the mean of the channels, threefold; or sums that go on from one run to the next."""

    made: ClassVar[list["Interpreter"]] = []
    gate: threading.Barrier | None = None

    def __init__(self, model_path, num_threads):
        if b"damaged" in Path(model_path).read_bytes():
            raise ValueError("Could not open it")
        self.threads, self.ran, self.packed = num_threads, [], False
        Interpreter.made.append(self)

    def allocate_tensors(self):
        self.packed = True

    def get_signature_runner(self, name):
        return Runner(self, name)


class Runner:
    def __init__(self, interpreter, name):
        self.interpreter, self.bucket = interpreter, int(name.removeprefix("b"))

    def get_input_details(self):
        return ["i0", "i1", "length"]

    def __call__(self, i0, i1, length):
        assert self.interpreter.packed, "weights are packed when it is made, which no call is to wait for"
        if Interpreter.gate:
            Interpreter.gate.wait(5)
        assert self.bucket in i0.shape
        self.interpreter.ran.append((self.bucket, int(length)))
        if np.isnan(i0).any():
            raise RuntimeError("Node number 7 failed to invoke")
        if i0.ndim == 3:
            return {"o0": i0.mean(1).repeat(3, 1) + i1[:, None], "o0_1": np.int32(3 * length)}
        sums = i1 + np.cumsum(i0, 0)
        return {"o0": sums, "o0_0": length, "o1": sums[length - 1]}


@pytest.fixture(autouse=True)
def stand_in(monkeypatch):
    monkeypatch.setattr(litert, "interpreter", lambda: Interpreter)
    monkeypatch.setattr(Interpreter, "made", [])
    monkeypatch.setattr(Interpreter, "gate", None)


@pytest.fixture
def loaded(tmp_path):
    def made(signature=VOCODER, sizes=(4, 8, 16), **options):
        path = tmp_path / "model.tflite"
        path.write_bytes(b"TFL3")
        Buckets(signature, "frames", sizes).write(path)
        return LiteRt(path, **options)

    return made


def mel(rows, frames):
    values = np.random.default_rng(frames).standard_normal((rows, 2, frames), np.float32)
    return {"mel": values, "speaker": np.arange(rows)}


@pytest.mark.parametrize(("frames", "bucket"), [(1, 4), (4, 4), (5, 8), (16, 16)])
def test_what_is_fed_is_padded_up_to_a_bucket_and_cut_down_again(loaded, frames, bucket):
    feeds = mel(1, frames)
    outputs = loaded().prepare(feeds)()
    np.testing.assert_allclose(outputs["audio"], feeds["mel"].mean(1).repeat(3, 1), atol=1e-6)
    assert Interpreter.made[0].ran == [(bucket, frames)]


def test_rows_run_one_after_the_other_each_with_its_own_feeds(loaded):
    feeds = mel(3, 5)
    audio = loaded().prepare(feeds)()["audio"]
    expected = feeds["mel"].mean(1).repeat(3, 1) + np.arange(3)[:, None]
    np.testing.assert_allclose(audio, expected, atol=1e-6)


def test_more_than_the_largest_bucket_is_refused_and_the_command_for_more_is_named(loaded):
    with pytest.raises(SignatureError, match="17 along frames are more than the 16") as refused:
        loaded().prepare(mel(1, 17))
    assert "--to litert --profile" in refused.value.remedy


def test_a_network_with_state_is_fed_more_than_that_piece_by_piece(loaded):
    x = np.random.default_rng(0).standard_normal((37, 1)).astype(np.float32)
    outputs = loaded(SUMS).prepare({"x": x, "s": np.ones(1, np.float32)})()
    np.testing.assert_allclose(outputs["y"], 1 + np.cumsum(x, 0), atol=1e-4)
    np.testing.assert_allclose(outputs["sn"], outputs["y"][-1])
    assert Interpreter.made[0].ran == [(16, 16), (16, 16), (8, 5)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"mel": np.zeros((1, 2, 5))},
        {"mel": np.zeros((2, 5), np.float32)},
        {"speaker": np.zeros(1, np.int32)},
        {"more": np.zeros(1, np.float32)},
    ],
)
def test_what_the_interpreter_would_misread_is_refused(loaded, wrong):
    with pytest.raises(SignatureError):
        loaded().prepare({**mel(1, 5), **wrong})


def test_calls_at_the_same_time_have_an_interpreter_each_and_later_ones_find_them(loaded):
    engine = loaded(threads=3)
    Interpreter.gate = threading.Barrier(2)  # passes only when two run at once
    found = {}

    def call(frames):
        found[frames] = engine.prepare(mel(1, frames))()["audio"]

    threads = [threading.Thread(target=call, args=(frames,)) for frames in (5, 6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {frames: audio.shape for frames, audio in found.items()} == {5: (1, 15), 6: (1, 18)}
    Interpreter.gate = None
    engine.prepare(mel(1, 4))()
    assert [each.threads for each in Interpreter.made] == [3, 3]


def test_long_calls_take_no_interpreter_from_usual_ones_and_share_one(loaded):
    """Each that is made anew costs a call its time, and the measure of what calls cost its truth."""
    engine = loaded(sizes=(4, 8, 64))
    for frames, large in [(5, False), (60, True), (4, False), (50, True), (8, False)]:
        engine.prepare(mel(1, frames), large=large)()
    usual, long = Interpreter.made
    assert usual.ran == [(8, 5), (4, 4), (8, 8)]
    assert long.ran == [(64, 60), (64, 50)]


def test_calls_that_are_large_only_in_name_reload_nothing(loaded):
    """As the first runs are, of which the costs of a network are learnt."""
    engine = loaded(sizes=(4, 8, 64))
    for frames in (8, 8, 1, 16):
        engine.prepare(mel(1, frames), large=True)()
    assert len(Interpreter.made) == 1


def at_once(engine, *frames):
    """Calls that all run before one ends."""
    Interpreter.gate = threading.Barrier(len(frames))
    threads = [threading.Thread(target=engine.prepare(mel(1, each))) for each in frames]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    Interpreter.gate = None


def alive():
    """How many of the interpreters that have been made are there, whenever it is asked."""
    made = [weakref.ref(each) for each in Interpreter.made]
    Interpreter.made.clear()
    return lambda: sum(each() is not None for each in made)


def test_no_more_are_kept_than_can_compute_at_once_and_one_for_long_calls(loaded, monkeypatch):
    monkeypatch.setattr(litert, "cores", lambda: 4)
    engine = loaded(sizes=(4, 8, 64), threads=2)
    at_once(engine, 5, 6, 7, 60, 61)
    assert len(Interpreter.made) == 5
    kept = alive()
    assert kept() == 3
    engine.prepare(mel(1, 1), large=True)()
    assert kept() == 1, "when nobody has asked for a while, one stays"


def test_a_closed_engine_keeps_nothing_and_what_still_runs_ends(loaded):
    engine = loaded()
    call, kept = engine.prepare(mel(1, 5)), alive()
    engine.close()
    assert kept() == 0
    assert call()["audio"].shape == (1, 15)
    assert alive()() == 0


def test_a_run_that_is_stopped_or_fails_is_named(loaded):
    engine = loaded()
    call = engine.prepare(mel(1, 5))
    call.stop()
    with pytest.raises(EngineError, match="LiteRT could not finish") as stopped:
        call()
    assert stopped.value.why == "It was told to stop"
    feeds = mel(1, 5)
    feeds["mel"][:] = np.nan
    with pytest.raises(EngineError) as failed:
        engine.prepare(feeds)()
    assert failed.value.why == "Node number 7 failed to invoke"


def test_a_file_that_is_damaged_or_not_described_is_named(loaded, tmp_path):
    loaded()
    path = tmp_path / "model.tflite"
    path.write_bytes(b"damaged")
    with pytest.raises(ModelFileError, match=r"cannot load model\.tflite"):
        LiteRt(path)
    path.with_suffix(".json").write_text("{}")
    with pytest.raises(ModelFileError, match="does not say which lengths"):
        LiteRt(path)
