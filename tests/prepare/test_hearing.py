"""What a version of a network is held to where it gives sound: pieces of speech, and no pauses."""

from dataclasses import replace
from importlib.util import find_spec

import numpy as np

from prepare import graphs
from sonorant.prepare import hearing

TOLD = set(hearing.FIGURES) - (set() if find_spec("pesq") else {"pesq_loss"})


class Player:
    """An engine whose sound is what it is fed, with noise."""

    def __init__(self, noise=0.0):
        self.random, self.noise = np.random.default_rng(1), noise

    def prepare(self, feeds, *, large=False):
        sound = feeds["mel"].reshape(1, 1, -1)
        return lambda: {"audio": sound + self.noise * self.random.normal(size=sound.shape)}


def test_a_version_is_heard_where_its_output_is_sound_and_somebody_speaks(made):
    subject, _ = made(graphs.vocoder)
    assert hearing.pieces(subject, Player()) == (), "nothing says that it is sound"
    audio = subject.signature.outputs[0]
    dims = (*audio.dims[:2], replace(audio.dims[2], unit="sample at 16 kHz"))
    random, seconds = np.random.default_rng(0), np.arange(12_000) / 16_000
    speech = random.normal(size=12_000) * (0.02 + 0.2 * np.maximum(0, np.sin(2 * np.pi * 3 * seconds)))
    parts = tuple({"mel": level * speech[np.newaxis, np.newaxis]} for level in (1, 1, 0.5, 0.5, 0.01, 0.01))
    signature = replace(subject.signature, outputs=(replace(audio, dims=dims),))
    heard = hearing.pieces(replace(subject, signature=signature, recorded=parts), Player())
    assert [len(piece.sound) for piece in heard] == [24_000, 24_000], "the pause is left out"
    for piece in heard:
        assert set(piece.parts(Player())) == TOLD, "all that a piece can tell of the gate's"
        assert worst(piece, Player()) < 0.01
        assert 1 < worst(piece, Player(noise=0.02), "int8") < worst(piece, Player(noise=0.02))


def worst(piece, engine, allow=""):
    return max(piece.parts(engine, allow).values())
