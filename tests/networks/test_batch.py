"""Calls as rows of one, and apart again."""

import numpy as np
import pytest

from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.batch import batchable, difference, stack, time_axis, together, unstack

FRAMES = Axis("frames", min=2, typical=50)
SAMPLES = Axis("samples", length=lambda sizes: 3 * sizes["frames"])
INPUTS = (
    Tensor("mel", "float32", (BATCH, 4, FRAMES)),
    Tensor("lengths", "int64", (BATCH,), lengths_of="frames"),
    Tensor("scale", "float32", (1,)),
)
SIGNATURE = Signature(INPUTS, (Tensor("audio", "float32", (BATCH, SAMPLES)),))


def call(frames: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    mel = np.random.default_rng(frames).normal(size=(1, 4, frames)).astype(np.float32)
    return {"mel": mel, "lengths": np.array([frames]), "scale": np.array([scale], np.float32)}


def test_rows_are_padded_and_come_back_as_long_as_they_were():
    calls = [call(5), call(3), call(4)]
    feeds = stack(SIGNATURE, calls)
    SIGNATURE.check(feeds)
    assert feeds["mel"].shape == (3, 4, 5)
    assert feeds["lengths"].tolist() == [5, 3, 4]
    assert feeds["scale"].shape == (1,)
    assert not feeds["mel"][1, :, 3:].any()
    audio = np.repeat(feeds["mel"].sum(1), 3, axis=1)
    rows = unstack(SIGNATURE, {"audio": audio}, [{"frames": n} for n in (5, 3, 4)])
    for row, own in zip(rows, calls, strict=True):
        np.testing.assert_array_equal(row["audio"], np.repeat(own["mel"].sum(1), 3, axis=1))


def test_calls_that_differ_in_what_has_no_rows_stay_apart():
    assert together(SIGNATURE, call(5), call(3))
    assert not together(SIGNATURE, call(5), call(3, scale=2.0))


@pytest.mark.parametrize(
    "outputs",
    [
        (Tensor("audio", "float32", (SAMPLES,)),),  # whose audio?
        (Tensor("audio", "float32", (BATCH, Axis("samples"))),),  # how much of it is padding?
    ],
)
def test_outputs_that_cannot_be_told_apart_forbid_batches(outputs):
    assert batchable(SIGNATURE)
    assert not batchable(Signature(INPUTS, outputs))


def test_rows_that_are_alike_need_no_lengths():
    audio = Tensor("audio", "float32", (BATCH, Axis("samples")))
    alike = Signature(INPUTS, (audio,), alike=True)
    assert batchable(alike)
    assert together(alike, call(5), call(5))
    assert not together(alike, call(5), call(3))
    rows = unstack(alike, {"audio": np.eye(2, 7, dtype=np.float32)}, [{"frames": 5}] * 2)
    assert [row["audio"].shape for row in rows] == [(1, 7), (1, 7)]
    assert rows[1]["audio"][0, 1] == 1


def test_state_forbids_batches():
    carried = Tensor("h", "float32", (BATCH, 8))
    inputs, outputs = (*INPUTS, carried), (*SIGNATURE.outputs, Tensor("hn", "float32", (BATCH, 8)))
    assert not batchable(Signature(inputs, outputs, {"h": "hn"}))


def test_the_axis_of_time_is_the_long_one():
    assert time_axis(SIGNATURE) == FRAMES
    assert time_axis(Signature((Tensor("x", "float32", (BATCH, 4)),), ())) is None


def test_another_shape_is_an_infinite_difference():
    one, other = {"audio": np.zeros((1, 6), np.float32)}, {"audio": np.full((1, 6), 0.5, np.float32)}
    assert difference(SIGNATURE, one, other) == 0.5
    assert difference(SIGNATURE, one, {"audio": np.zeros((1, 5), np.float32)}) == np.inf
