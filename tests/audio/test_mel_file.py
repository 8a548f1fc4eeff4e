"""Mel spectrograms in .npy files, and what else such files can be."""

import io

import numpy as np
import pytest

from sonorant.audio import mel_file
from sonorant.errors import AudioError
from sonorant.tasks import Upload

MEL = np.random.default_rng(0).normal(size=(80, 7)).astype(np.float32)


def saved(array: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "array", [MEL, MEL[np.newaxis], np.asfortranarray(MEL), MEL.astype(">f4"), MEL.astype("f8")]
)
def test_floats_of_every_layout_are_read(array, tmp_path):
    data = saved(array)
    (tmp_path / "mel.npy").write_bytes(data)
    for upload in (Upload(data), Upload(tmp_path / "mel.npy")):
        assert mel_file.is_one(upload)
        mel = mel_file.read(upload)
        assert mel.dtype == np.dtype("=f4")
        assert mel.flags.c_contiguous
        assert np.array_equal(mel, MEL)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (saved(np.array([{}], object), allow_pickle=True), "not floats"),
        (saved(np.zeros((80, 3), np.int16)), "not floats"),
        (saved(np.zeros((2, 80, 3), np.float32)), r"shape \[2, 80, 3\]"),
        (saved(MEL)[:-1], "not as long as its header says"),
        (saved(MEL).replace(b"(80, 7)", b"(80,9**9)"), "header cannot be read"),
        (saved(MEL).replace(b"(80, 7), ", b"(8000000,7)")[:200], "header"),
        (b"\x93NUMPY\x01", "header cannot be read"),
        (b"\x93NUMPY\x09\x00" + saved(MEL)[8:], "header cannot be read"),
    ],
)
def test_what_is_none_is_refused(data, why):
    with pytest.raises(AudioError, match=why):
        mel_file.read(Upload(data))


def test_a_recording_is_none():
    assert not mel_file.is_one(Upload(b"RIFF...."))
