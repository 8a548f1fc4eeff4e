"""Mel spectrograms in numpy's .npy files: read without running or allocating what a file asks for."""

from __future__ import annotations

from io import BytesIO
from math import prod

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from sonorant.errors import AudioError
from sonorant.tasks import Upload

MAGIC = npy.MAGIC_PREFIX
_HEADERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


def is_one(upload: Upload) -> bool:
    """Whether it is a .npy file, by its first bytes."""
    if isinstance(upload.source, bytes):
        return upload.source.startswith(MAGIC)
    with upload.source.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def read(upload: Upload) -> NDArray[np.float32]:
    """float32 [bins, frames], from floats of any width, with or without a batch of one around them.

    Raises AudioError for what else a .npy can hold, objects above all: reading those would run code.
    """
    data = upload.source if isinstance(upload.source, bytes) else upload.source.read_bytes()
    stream = BytesIO(data)
    try:
        shape, columns_first, dtype = _HEADERS[npy.read_magic(stream)](stream)
    except (ValueError, KeyError) as error:
        raise _no_mel("its header cannot be read") from error
    if dtype.kind != "f" or dtype.hasobject:
        raise _no_mel(f"it holds {dtype}, not floats")
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[0] != 1):
        raise _no_mel(f"it has the shape {list(shape)}")
    if prod(shape) * dtype.itemsize != len(data) - stream.tell():
        raise _no_mel("it is not as long as its header says")
    values = np.frombuffer(data, dtype, offset=stream.tell())
    mel = values.reshape(shape, order="F" if columns_first else "C")
    return np.ascontiguousarray(mel[0] if mel.ndim == 3 else mel, np.float32)


def _no_mel(why: str) -> AudioError:
    return AudioError(
        "The .npy file is no mel spectrogram",
        why=why,
        remedy="Save float32 [bins, frames] with numpy.save",
        param="file",
    )
