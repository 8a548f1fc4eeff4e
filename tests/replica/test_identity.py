"""What a sound depends on beside the request is in the model's identity."""

import os
from dataclasses import replace

import pytest

from sonorant.catalogue import ModelCard
from sonorant.catalogue.card import File, Url
from sonorant.replica.identity import identity
from sonorant.tasks import Pronunciation, Task

FILE = File(name="m.onnx", sha256="0" * 64, size=1, sources=(Url(url="https://a.example/m"),))
CARD = ModelCard(
    name="m", revision="1", family="piper", task=Task.SPEECH, languages=("en",), licence="MIT", files=(FILE,)
)
USUAL = {"card": CARD, "folder": None, "device": "cpu", "options": {}, "lexicon": ()}


@pytest.mark.parametrize(
    "changes",
    [
        {"card": replace(CARD, revision="2")},
        {"card": replace(CARD, files=(replace(FILE, sha256="1" * 64),))},
        {"card": replace(CARD, parts={"normalizer": "wetext"})},
        {"device": "cuda"},
        {"options": {"graph_optimization_level": "ORT_DISABLE_ALL"}},
        {"lexicon": (Pronunciation("GIF", "en", "jif"),)},
    ],
)
def test_another_sound_is_another_identity(changes):
    assert identity(**USUAL | changes) != identity(**USUAL)
    assert identity(**USUAL) == identity(**USUAL)


def test_a_folder_is_known_by_its_files(tmp_path):
    path = tmp_path / "voices" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"one")
    here = USUAL | {"folder": tmp_path}
    first = identity(**here)
    assert identity(**here) == first
    path.write_bytes(b"two")
    os.utime(path, ns=(1, 1))
    assert identity(**here) != first
