"""Folders and files that this user may not read: what is closed is named, and nothing is said of its content."""

import ctypes
import os
import struct
import sys

import pytest

from doctor.model.made import codes, diagnosed, saved
from sonorant.catalogue import Catalogue
from sonorant.doctor.model import diagnose, diagnosis
from sonorant.doctor.model.child import look
from sonorant.errors import ModelFileError
from sonorant.settings import CatalogueSettings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="capabilities are Linux's")

HEADER = struct.pack("<Ii", 0x20080522, 0)
"""version of the calls, this thread (linux/capability.h)"""
OVERRIDES = 1 << 1 | 1 << 2
"""CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, by which root reads what nobody may"""


def capabilities(change=None):
    """Of this thread: those in effect, those that it may take, those that it passes on; twice 32 bits."""
    data = ctypes.create_string_buffer(change or b"", 24)
    call = ctypes.CDLL(None, use_errno=True)["capset" if change else "capget"]
    assert call(HEADER, data) == 0, os.strerror(ctypes.get_errno())
    return data.raw


@pytest.fixture
def plain(tmp_path):
    """A folder with a model, seen with no rights but those that files give."""
    place = tmp_path / "models"
    place.mkdir()
    saved(place / "model.onnx")
    before = capabilities()
    effective, *others = struct.unpack("<6I", before)
    capabilities(struct.pack("<6I", effective & ~OVERRIDES, *others))
    try:
        yield place
    finally:
        capabilities(before)
        place.chmod(0o755)
        for path in place.rglob("*"):
            path.chmod(0o755)


@pytest.fixture
def inside(monkeypatch):
    """The child's function in this process: a child of root's would have root's rights again."""
    monkeypatch.setattr(diagnosis, "confined", lambda target, arguments, **limits: look(**arguments))


def closed(path, mode=0):
    os.chmod(path, mode)
    return path


def test_a_closed_folder(plain):
    finding = diagnosed(closed(plain), "unreadable", "Permission denied", "chmod")
    assert finding["where"] == "."


def test_a_folder_that_may_be_listed_and_not_entered(plain):
    assert diagnosed(closed(plain, 0o444), "unreadable", "Permission denied")["where"] == "."


def test_a_closed_folder_in_a_folder(plain):
    """What lacks may be in it, so nothing is said to be missing."""
    (plain / "vocab.json").write_text("{}")
    (plain / "model.onnx").rename(plain / "kokoro-v1.0.onnx")
    (plain / "voices").mkdir()
    closed(plain / "voices")
    assert diagnosed(plain, "unreadable", "Permission denied")["where"] == "voices"


def test_a_closed_file(plain):
    (plain / "model.onnx.json").write_text('{"phoneme_id_map": {}}')
    closed(plain / "model.onnx.json")
    assert diagnosed(plain, "unreadable")["where"] == "model.onnx.json"
    (plain / "model.onnx.json").unlink()
    closed(plain / "model.onnx")
    diagnosed(plain / "model.onnx", "unreadable", "Permission denied")
    assert codes(plain).keys() == {"unreadable", "layout-unknown"}


def test_a_file_in_a_closed_folder(plain, tmp_path):
    catalogue = Catalogue(CatalogueSettings(home=tmp_path / "home"))
    closed(plain)
    with pytest.raises(ModelFileError, match="cannot be looked at") as caught:
        diagnose(str(plain / "model.onnx"), catalogue)
    assert "Permission denied" in caught.value.why
    assert "chmod u+x" in caught.value.remedy


def test_the_whole_way(plain, tmp_path, inside):
    catalogue = Catalogue(CatalogueSettings(home=tmp_path / "home"))
    found = diagnose(str(closed(plain)), catalogue)
    assert [finding.code for finding in found.findings] == ["unreadable"]
