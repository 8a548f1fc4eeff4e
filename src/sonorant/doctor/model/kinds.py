"""What kind of file this is, by its bytes; its name tells what it should be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import StrEnum

from sonorant.doctor.model import imports, pickles, protobuf
from sonorant.doctor.model.finding import ERROR, Finding, Subject


class Kind(StrEnum):
    """Those that are looked into."""

    ONNX = "ONNX"
    ORT = "ORT"
    ZIP = "PyTorch"
    PICKLE = "pickle"
    SAFETENSORS = "safetensors"
    TFLITE = "LiteRT"
    TENSORRT = "TensorRT"
    CTRANSLATE2 = "CTranslate2"


_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (4, b"ORTM", Kind.ORT),
    (4, b"TFL3", Kind.TFLITE),
    (0, b"ftrt", Kind.TENSORRT),
    (0, b"ptrt", Kind.TENSORRT),
    (0, b"PK\x03\x04", Kind.ZIP),
    (0, b"GGUF", "GGUF"),
    (0, b"\x89HDF\r\n\x1a\n", "HDF5"),
    (0, b"\x93NUMPY", "NumPy"),
    (0, b"\x1f\x8b", "gzip"),
    (0, b"BZh", "bzip2"),
    (0, b"\xfd7zXZ\x00", "xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "7z"),
    (0, b"Rar!\x1a\x07", "RAR"),
    (0, b"\x28\xb5\x2f\xfd", "zstd"),
    (257, b"ustar", "tar"),
    (0, b"RIFF", "RIFF"),
    (0, b"fLaC", "FLAC"),
    (0, b"ID3", "MP3"),
    (0, b"OggS", "Ogg"),
    (0, b"%PDF", "PDF"),
    (0, b"\x89PNG", "PNG"),
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x7fELF", "ELF"),
    (0, b"MZ", "EXE"),
    (0, b"SQLite format 3\x00", "SQLite"),
)
"""offset, bytes there, kind. TensorRT: the magic tags of nvinfer's plans of 8 and later, and before"""
_ARCHIVES = {"gzip", "bzip2", "xz", "7z", "RAR", "zstd", "tar"}

BY_ENDING: dict[str, tuple[str, ...]] = {
    ".onnx": (Kind.ONNX,),
    ".ort": (Kind.ORT,),
    ".safetensors": (Kind.SAFETENSORS,),
    ".tflite": (Kind.TFLITE,),
    ".pt": (Kind.ZIP, Kind.PICKLE),
    ".pth": (Kind.ZIP, Kind.PICKLE),
    ".ckpt": (Kind.ZIP, Kind.PICKLE),
    ".pkl": (Kind.ZIP, Kind.PICKLE),
    ".engine": (Kind.TENSORRT,),
    ".plan": (Kind.TENSORRT,),
    ".trt": (Kind.TENSORRT,),
}
"""what a file of that name must hold"""

_LFS = b"version https://git-lfs.github.com/spec/"
_HTML = re.compile(rb"\s*(<!doctype html|<html|<\?xml[^>]*>\s*<(!doctype html|html|error))", re.IGNORECASE)
_REFUSAL = re.compile(
    r"not found|denied|unauthori[sz]ed|forbidden|invalid (user|credential|token)|\berror\b|gated|restricted"
    r"|expired|too many requests|quota",
    re.IGNORECASE,
)
"""what servers say in place of a file"""
_LONGEST_MESSAGE = 16 << 10
"""bytes"""
_ZEROS = 1 << 16
"""bytes at the beginning, in the middle and at the end that are looked at for anything but zeros"""


def kind_of(head: bytes, size: int) -> str:
    """ "" where the first bytes tell nothing."""
    for offset, magic, kind in _MAGIC:
        if head[offset : offset + len(magic)] == magic:
            return kind
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return Kind.PICKLE
    if size > 8 and head[8:9] == b"{" and 2 <= int.from_bytes(head[:8], "little") < 1 << 30:
        return Kind.SAFETENSORS
    if re.match(rb"[\x01-\x10]\0\0\0[\x05-\x40]\0\w+Spec\0", head):
        return Kind.CTRANSLATE2
    return Kind.ONNX if protobuf.is_model(head) else ""


def disguised(subject: Subject) -> str:
    """The kind of a file whose first bytes tell nothing: PICKLE, where loading it as one would import."""
    with subject.path.open("rb") as stream:
        try:
            return Kind.PICKLE if pickles.read(stream).imports else ""
        except pickles.BrokenPickle as error:  # texts and other data break at once
            return Kind.PICKLE if imports.programs(error.imports) else ""


def mistaken(subject: Subject, head: bytes) -> Iterator[Finding]:
    """Why a file is none at all: nothing follows from looking into it."""
    where = subject.name
    if subject.size == 0:
        yield Finding(
            "empty-file",
            ERROR,
            what="The file is empty",
            why="A download that never began, or a full disk",
            remedy=subject.again,
            where=where,
        )
    elif head.startswith(_LFS):
        size = re.search(rb"^size (\d+)", head, re.MULTILINE)
        bytes_ = size[1].decode() if size else "?"
        yield Finding(
            "lfs-pointer",
            ERROR,
            what="It is a Git LFS pointer, not the file itself",
            why=f"The repository was cloned without Git LFS; the file itself has {bytes_} bytes",
            remedy="Run `git lfs install` and `git lfs pull` in the repository, or download the file itself",
            where=where,
        )
    elif _HTML.match(head):
        yield Finding(
            "web-page",
            ERROR,
            what="It is a web page, not a model",
            why="The download was answered by a log-in, error or preview page",
            remedy="Download the file itself: on Hugging Face an address with /resolve/ in place of /blob/, "
            "after accepting the model's terms where it has some",
            where=where,
        )
    elif not head[:_ZEROS].strip(b"\0") and not any(_samples(subject)):
        yield Finding(
            "zero-bytes",
            ERROR,
            what="Its bytes are zeros",
            why="The space was reserved and never filled: an interrupted download, or a damaged disk",
            remedy=subject.again,
            where=where,
        )
    elif (text := _message(head, subject.size)) and _REFUSAL.search(text):
        yield Finding(
            "error-message",
            ERROR,
            what="It holds a server's error message, not a model",
            why=f"It says: {_first_line(text)}",
            remedy="Check the address, and that you are logged in and have accepted the model's terms; "
            "then download it again",
            where=where,
        )


def misnamed(subject: Subject, kind: str, wanted: Sequence[str]) -> Iterator[Finding]:
    """A file of another kind than is `wanted` of its name or place (none: any that is known), or of none."""
    ending = subject.path.suffix.lower()
    where = subject.name
    if kind in _ARCHIVES:
        yield Finding(
            "packed",
            ERROR,
            what=f"It is an archive ({kind}), not a model",
            why="Models are distributed packed, and read unpacked",
            remedy="Unpack it, and name the folder that comes out",
            where=where,
        )
    elif kind in ("GGUF", "HDF5", "NumPy"):
        yield Finding(
            "other-format",
            ERROR,
            what=f"It is a {kind} file, which no engine here reads",
            why="It was made for another framework",
            remedy="Get the ONNX, safetensors or PyTorch form of the model",
            where=where,
        )
    elif kind and wanted and kind not in wanted:
        yield Finding(
            "misnamed",
            ERROR,
            what=f"It is named {ending or subject.path.name}, but is a {kind} file",
            why="It was renamed, which converts nothing",
            remedy="Give it its own ending back; convert it where another form is needed",
            where=where,
        )
    elif kind not in list(Kind):
        what = kind or _as_seen(subject.head(40))
        yield Finding(
            "not-a-model",
            ERROR,
            what="It is not a model of any kind that is known here",
            why=f"It begins with {what}",
            remedy="Name an .onnx, .ort, .pt, .safetensors or .tflite file, an engine, or a model's folder",
            where=where,
        )


def _samples(subject: Subject) -> Iterator[bytes]:
    """What is not zero at some places of the file."""
    with subject.path.open("rb") as stream:
        for quarter in range(1, 5):
            stream.seek(max(0, subject.size * quarter // 4 - _ZEROS))
            yield stream.read(_ZEROS).strip(b"\0")


def _message(head: bytes, size: int) -> str:
    """A short text file's text."""
    if size > _LONGEST_MESSAGE:
        return ""
    try:
        text = head[:size].decode("utf-8")
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() or not re.search(r"[\x00-\x08\x0e-\x1f]", text) else ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0][:120] if text.strip() else ""


def _as_seen(head: bytes) -> str:
    text = head.decode("ascii", errors="replace").split("\n")[0]
    return repr(text) if text.isprintable() and "\ufffd" not in text else head[:12].hex(" ")
