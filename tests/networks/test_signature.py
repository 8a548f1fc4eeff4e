"""Signatures: what they refuse, what they make, and whether they tell the truth about real networks."""

import numpy as np
import onnxruntime as ort
import pytest

from sonorant.catalogue import Catalogue
from sonorant.errors import ModelFileError, SignatureError
from sonorant.families import hibari, moonshine, piper, silero
from sonorant.families.moonshine.networks import encoder_signature, frames
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.generate import decoder_signature
from sonorant.settings import load_settings

STEPS = Axis("steps", unit="10 ms", min=2, typical=5, max=8)
TOY = Signature(
    inputs=(
        Tensor("ids", "int64", (BATCH, STEPS), low=0, high=9),
        Tensor("lengths", "int64", (BATCH,), low=1, lengths_of="steps"),
        Tensor("style", "float32", (BATCH, 3), low=-1, high=1),
    ),
    outputs=(Tensor("audio", "float32", (BATCH, Axis("samples", length=lambda sizes: 4 * sizes["steps"]))),),
)
SHIPPED = {
    "hibari": hibari.networks.signature(),
    "piper": piper.networks.signature(symbols=130, speakers=1, rate=22_050),
    "piper with speakers": piper.networks.signature(symbols=130, speakers=4, rate=22_050),
    "moonshine encoder": encoder_signature(hidden=288, masked=True),
    "moonshine encoder without a mask": encoder_signature(hidden=416, masked=False),
    "moonshine decoder": decoder_signature(
        layers=6, heads=8, width=36, hidden=288, vocabulary=32768, masked=True
    ),
    "silero": silero.SIGNATURE,
}


def feeds(**changes):
    return TOY.example() | changes


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"noise": np.zeros(1, np.float32)}, r"unknown \['noise'\]"),
        ({"ids": np.zeros((1, 5), np.int32)}, "ids is int32, not int64"),
        ({"ids": [[1, 2, 3]]}, "ids is list, not int64"),
        ({"ids": np.zeros((1, 5, 1), np.int64)}, "ids has 3 dimensions, not 2"),
        ({"style": np.zeros((1, 4), np.float32)}, r"style has shape \(1, 4\)"),
        ({"ids": np.zeros((2, 5), np.int64)}, "along batch, another feed has"),
        ({"ids": np.zeros((1, 1), np.int64), "lengths": np.ones(1, np.int64)}, "1 along steps.*within 2 and 8"),
        ({"ids": np.zeros((1, 9), np.int64)}, "9 along steps.*within 2 and 8"),
        ({"ids": np.full((1, 5), -1)}, "ids holds -1, below 0"),
        ({"ids": np.full((1, 5), 10)}, "ids holds 10, above 9"),
        ({"lengths": np.array([6])}, "lengths says more than the 5 along steps"),
    ],
)  # fmt: skip
def test_a_wrong_feed_is_refused_by_name(wrong, message):
    with pytest.raises(SignatureError, match=message) as error:
        TOY.check(feeds(**wrong))
    assert error.value.remedy


def test_a_missing_feed_is_refused_by_name():
    incomplete = feeds()
    del incomplete["style"]
    with pytest.raises(SignatureError, match=r"missing \['style'\]"):
        TOY.check(incomplete)


def test_check_tells_the_sizes():
    assert TOY.check(TOY.example(steps=7, batch=2)) == {"batch": 2, "steps": 7}


@pytest.mark.parametrize("size", ["min", "typical"])
@pytest.mark.parametrize("name", SHIPPED)
def test_examples_fit_their_own_signature(name, size):
    signature = SHIPPED[name]
    example = signature.example(size=size, seed=3)
    signature.check(example)
    again = signature.example(size=size, seed=3)
    assert all(np.array_equal(value, again[tensor]) for tensor, value in example.items())


def declared(signature: Signature) -> tuple[list[Tensor], list[Tensor]]:
    """As a model file would declare it: with unknown dimensions."""
    unknown = [
        [Tensor(t.name, t.dtype, tuple(d if isinstance(d, int) else Axis("?") for d in t.dims)) for t in side]
        for side in (signature.inputs, signature.outputs)
    ]
    return unknown[0], unknown[1]


@pytest.mark.parametrize("name", SHIPPED)
def test_a_file_with_the_same_tensors_conforms(name):
    SHIPPED[name].conforms(*declared(SHIPPED[name]), "model.onnx")


@pytest.mark.parametrize(
    ("index", "found", "message"),
    [
        (0, Tensor("tokens", "int64", (Axis("?"), Axis("?"))), "input 'ids' is missing"),
        (0, Tensor("ids", "int32", (Axis("?"), Axis("?"))), "'ids' is int32, not int64"),
        (0, Tensor("ids", "int64", (Axis("?"),)), "'ids' has 1 dimensions, not 2"),
        (0, Tensor("ids", "int64", (Axis("?"), 200)), "'ids' has a fixed length of 200 along steps"),
        (2, Tensor("style", "float32", (Axis("?"), 4)), "'style' has 4 where 3 is expected"),
    ],
)
def test_another_network_does_not_conform(index, found, message):
    inputs, outputs = declared(TOY)
    inputs[index] = found
    with pytest.raises(ModelFileError, match=message) as error:
        TOY.conforms(inputs, outputs, "model.onnx")
    assert "model.onnx" in str(error.value)


def test_a_baked_in_output_length_and_an_extra_input_do_not_conform():
    inputs, outputs = declared(TOY)
    with pytest.raises(ModelFileError, match="output 'audio' has a fixed length of 20"):
        TOY.conforms(inputs, [Tensor("audio", "float32", (1, 20))], "model.onnx")
    with pytest.raises(ModelFileError, match=r"wants inputs that this family does not feed: \['sid'\]"):
        TOY.conforms([*inputs, Tensor("sid", "int64", (1,))], outputs, "model.onnx")


def test_state_starts_as_zeros():
    zeros = silero.SIGNATURE.zeros()
    assert {name: value.shape for name, value in zeros.items()} == {"h": (1, 1, 128), "c": (1, 1, 128)}
    assert not any(value.any() for value in zeros.values())


@pytest.mark.parametrize("samples", [1536, 1537, 16_000, 48_123, 100_000])
def test_moonshines_frames_are_those_of_its_encoder(samples):
    catalogue = Catalogue(load_settings().catalogue)
    folder = catalogue.ensure(catalogue.find("moonshine-tiny"))
    session = ort.InferenceSession(moonshine.layout.find(folder).encoder)
    signature = encoder_signature(hidden=288, masked=True)
    hidden = session.run(None, signature.example(samples=samples))[0]
    assert frames({"samples": samples}) == hidden.shape[1]
    assert signature.outputs[0].dims[1].length is frames


@pytest.mark.parametrize(
    ("unit", "seconds"),
    [
        ("12.5 ms", 0.0125),
        ("sample at 16 kHz", 1 / 16_000),
        ("sample at 22050 Hz", 1 / 22_050),
        ("phoneme", None),
    ],
)
def test_a_step_of_an_axis_lasts_as_its_unit_says(unit, seconds):
    assert Axis("n", unit=unit).seconds == (None if seconds is None else pytest.approx(seconds))
