"""Looking into CTranslate2's model.bin (ctranslate2/specs/model_spec.py, _serialize)."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator

import ml_dtypes
import numpy as np

from sonorant.doctor.model.faults import truncated
from sonorant.doctor.model.finding import Facts, Seen, Subject
from sonorant.doctor.model.weights import Ward

_DTYPES = (np.float32, np.int8, np.int16, np.int32, np.float16, ml_dtypes.bfloat16)


def look(subject: Subject) -> Iterator[Seen]:
    """Its variables: names, sizes and values."""
    size = subject.size
    ward = Ward()
    try:
        with subject.path.open("rb") as stream:

            def number(form: str) -> int:
                value: int = struct.unpack(f"<{form}", stream.read(struct.calcsize(form)))[0]
                return value

            number("I")
            spec = stream.read(number("H")).rstrip(b"\0").decode("ascii", errors="replace")
            number("I")
            for _ in range(number("I")):
                name = stream.read(number("H")).rstrip(b"\0").decode("utf-8", errors="replace")
                shape = [number("I") for _ in range(number("B"))]
                kind, length = number("B"), number("I")
                at = stream.tell()
                if at + length > size:
                    raise EOFError(f"the variable {name} ends at byte {at + length}")
                stream.seek(at + length)
                if kind < len(_DTYPES) and shape and length:
                    dtype = np.dtype(_DTYPES[kind])
                    if math.prod(shape) * dtype.itemsize == length:
                        array = np.memmap(subject.path, dtype, "r", at, tuple(shape))
                        ward.admit(name, array, weight=len(shape) > 1 and name.endswith("weight"))
    except (EOFError, struct.error, ValueError) as error:
        yield truncated(subject, f"It breaks off before its last variable: {error}")
        return
    yield Facts(
        file=subject.name,
        kind="CTranslate2",
        bytes=size,
        producer=spec,
        parameters=ward.parameters,
        dtypes=ward.dtypes,
    )
    yield from ward.findings(subject)
