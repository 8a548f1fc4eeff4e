"""Looking into a .safetensors file (github.com/huggingface/safetensors, "Format")."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from sonorant.doctor.model.faults import damaged, truncated, weights_size
from sonorant.doctor.model.finding import Facts, Seen, Subject
from sonorant.doctor.model.weights import Ward

_DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
_LARGEST_HEADER = 100_000_000
"""bytes; the library's own limit"""


def look(subject: Subject) -> Iterator[Seen]:
    """Its header against its size, and the values."""
    size = subject.size
    length = int.from_bytes(subject.head(8), "little")
    if length > size - 8 and length <= _LARGEST_HEADER:
        yield truncated(subject, f"Its header has {length} bytes, and the file {size}")
        return
    try:
        if length > _LARGEST_HEADER:
            raise ValueError(f"a header of {length} bytes")
        header: dict[str, Any] = json.loads(subject.head(8 + length)[8:])
        header.pop("__metadata__", None)
        table = {name: _entry(entry) for name, entry in header.items()}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        yield damaged(subject, f"It is not what safetensors writes: {error}")
        return
    start = 8 + length
    end = start + max((entry[3] for entry in table.values()), default=0)
    if end > size:
        yield truncated(subject, f"It needs {end} bytes by its own account and has {size}")
        return
    ward = Ward()
    wrong = []
    for name, (kind, shape, first, last) in table.items():
        dtype = _DTYPES.get(kind)
        if dtype is None:
            ward.count(kind, math.prod(shape))
            continue
        if math.prod(shape) * np.dtype(dtype).itemsize != last - first:
            wrong.append(name)
        elif last > first:
            array = np.memmap(subject.path, dtype, "r", start + first, tuple(shape))
            weight = array.ndim > 1 and "weight" in name.rpartition(".")[2] and "lora_B" not in name
            ward.admit(name, array, weight=weight)
    yield Facts(
        file=subject.name,
        kind="safetensors",
        bytes=size,
        parameters=ward.parameters,
        dtypes=ward.dtypes,
    )
    if wrong:
        yield weights_size(subject, wrong)
    yield from ward.findings(subject)


def _entry(entry: dict[str, Any]) -> tuple[str, list[int], int, int]:
    kind, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not all(type(n) is int and n >= 0 for n in (*shape, first, last)) or last < first:
        raise ValueError("a tensor that lies nowhere")
    return str(kind), list(shape), first, last
