"""The sizes that a TensorRT engine is built for."""

import pytest

from sonorant.errors import RequestError
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.prepare.convert.profile import Profile

FRAMES = Axis("frames", min=4, typical=200, max=1000)
ENDLESS = Axis("tokens", min=1, typical=30)
SIGNATURE = Signature(
    (
        Tensor("x", "float32", (BATCH, FRAMES, 80)),
        Tensor("ids", "int64", (BATCH, ENDLESS)),
        Tensor("s", "float32", (3,)),
    ),
    (),
)


def test_sizes_come_from_the_signature():
    assert Profile.of(SIGNATURE).shapes == {
        "x": ((1, 4, 80), (1, 200, 80), (8, 1000, 80)),
        "ids": ((1, 1), (1, 30), (8, 240)),
        "s": ((3,), (3,), (3,)),
    }


def test_an_axis_or_an_input_may_be_given_other_sizes():
    shapes = Profile.of(SIGNATURE, {"frames": (10, 20, 30)}, {"ids": ((1, 2), (1, 3), (2, 4))}).shapes
    assert shapes["x"] == ((1, 10, 80), (1, 20, 80), (8, 30, 80))
    assert shapes["ids"] == ((1, 2), (1, 3), (2, 4))


def test_values_that_sizes_may_follow_from_come_from_the_signature():
    crops = Tensor("crops", "int64", (2, 2), low=0, high=99, typical=(0, 50))
    length = Tensor("length", "int64", (1,), lengths_of="tokens")
    rows = Tensor("rows", "int64", (BATCH,), low=1, high=5)
    unknown = Tensor("unknown", "int64", (1,), low=1)
    scale = Tensor("scale", "float32", (1,), low=0, high=1)
    tokens = SIGNATURE.inputs[1]
    found = Profile.of(Signature((tokens, crops, length, rows, unknown, scale), ())).values
    assert found == {
        "crops": ((0, 0, 0, 0), (0, 50, 0, 50), (99, 99, 99, 99)),
        "length": ((1,), (30,), (240,)),
    }


@pytest.mark.parametrize(
    ("axes", "inputs", "said"),
    [
        ({"mels": (1, 2, 3)}, {}, "no axis 'mels'.*batch, frames, tokens"),
        ({}, {"y": ((1,), (1,), (1,))}, "no input 'y'"),
        ({"frames": (10, 5, 30)}, {}, "10, 5, 30 cannot be the sizes along frames"),
        ({"frames": (1, 5, 30)}, {}, "1, 5, 30 cannot be"),
        ({"frames": (4, 5, 3000)}, {}, "4, 5, 3000 cannot be"),
        ({}, {"s": ((3,), (3,), (4,))}, "cannot be the shapes of s"),
        ({}, {"ids": ((1,), (1,), (1,))}, "cannot be the shapes of ids"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(axes, inputs, said):
    with pytest.raises(RequestError, match=said):
        Profile.of(SIGNATURE, axes, inputs)
