"""In which order sources are asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from sonorant.catalogue.card import File, Hub, Package, Url
from sonorant.catalogue.region import region
from sonorant.catalogue.sources import Fetch, ways
from sonorant.settings import CatalogueSettings

FILE = File(
    name="net.onnx",
    sha256="0" * 64,
    size=5,
    sources=(
        Package(package="no-such-package", version="1", members=("net.onnx",)),
        Url(url="https://example.org/net.onnx"),
        Hub(hub="modelscope", repo="org/name", path="net.onnx", revision="master"),
        Hub(hub="huggingface", repo="org/name", path="a/net.onnx", revision="main"),
    ),
)


@pytest.fixture(autouse=True)
def _plain(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_ENDPOINT", "HF_TOKEN", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TZ", "Europe/Paris")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path))


def hosts(**settings: object) -> list[str]:
    return [way.label for way in ways(FILE, CatalogueSettings.model_validate({"offline": False, **settings}))]


INDEX = "no-such-package==1 of the package index"


def test_hugging_face_comes_first_in_most_of_the_world() -> None:
    assert hosts() == ["huggingface.co", "hf-mirror.com", "modelscope.cn", "example.org", INDEX]


def test_modelscope_and_the_mirror_come_first_in_china() -> None:
    assert hosts(region="china") == ["modelscope.cn", "hf-mirror.com", "huggingface.co", "example.org", INDEX]


def test_offline_no_source_is_left() -> None:
    assert hosts(offline=True) == []


def test_hf_endpoint_takes_the_place_of_hugging_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "https://hub.example/")
    first = ways(FILE, CatalogueSettings(offline=False))[0]
    assert isinstance(first, Fetch)
    assert first.url == "https://hub.example/org/name/resolve/main/a/net.onnx"
    assert hosts() == ["hub.example", "modelscope.cn", "example.org", INDEX]


def test_the_token_is_not_for_a_mirror_that_we_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    fetches = [way for way in ways(FILE, CatalogueSettings(offline=False)) if isinstance(way, Fetch)]
    assert [way.label for way in fetches if way.headers] == ["huggingface.co"]
    assert "secret" not in repr(fetches)


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LANG", "zh_CN.UTF-8", "china"),
        ("TZ", "Asia/Shanghai", "china"),
        ("TZ", ":Asia/Urumqi", "china"),
        ("LANG", "zh_TW.UTF-8", "global"),
        ("LANG", "en_US.UTF-8", "global"),
    ],
)
def test_the_region_follows_locale_and_time_zone(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str, expected: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert region(CatalogueSettings()) == expected
    assert region(CatalogueSettings(region="global")) == "global"
