"""Where settings are read from again, and what of them can change."""

import pytest

from sonorant.errors import SettingsError
from sonorant.in_force import FIXED, PROCESS, InForce, Source, among, changeable, changes
from sonorant.settings import Settings, leaves


@pytest.fixture(autouse=True)
def empty(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SONORANT_CONFIG", raising=False)
    return tmp_path


def test_a_file_that_comes_counts_and_one_that_goes_is_an_error(empty):
    source, file = Source(), empty / "sonorant.toml"
    assert source.read() == Settings()
    assert [path.resolve() for path in source.files()] == [file]
    file.write_text("[server]\napi_keys = ['secret-word']\n")
    assert len(source.read().server.api_keys) == 1
    file.unlink()
    with pytest.raises(SettingsError, match="sonorant.toml cannot be read"):
        source.read()


def test_the_environment_and_the_command_line_stay_on_top(empty, monkeypatch):
    file = empty / "other.toml"
    file.write_text("[limits]\nwaiting = 1\nqueue_seconds = 1\nupload_bytes = 1\n")
    monkeypatch.setenv("SONORANT_LIMITS__WAITING", "2")
    source = Source(file, {"limits": {"queue_seconds": 3}})
    for upload in (1, 7):
        file.write_text(f"[limits]\nwaiting = 1\nqueue_seconds = 1\nupload_bytes = {upload}\n")
        limits = source.read().limits
        assert (limits.waiting, limits.queue_seconds, limits.upload_bytes) == (2, 3, upload)


def test_changes_are_named_and_never_told():
    new = Settings.model_validate(
        {
            "device": "cuda",
            "onnxruntime": {"session.x": 1},
            "server": {"api_keys": ["secret-word"], "port": 1},
            "catalogue": {"region": "china"},
        }
    )
    names = changes(Settings(), new)
    assert among(names, FIXED) == ["catalogue.region", "server.port"]
    assert among(names, PROCESS) == ["device", "onnxruntime", "onnxruntime.session.x"]
    assert "server.api_keys" in names
    taken = changeable(Settings(), new)
    assert changes(Settings(), taken) == [name for name in names if name not in among(names, FIXED)]
    assert changes(new, taken) == ["catalogue.region", "server.port"]


@pytest.mark.parametrize("name", [*FIXED, *PROCESS])
def test_every_name_is_that_of_a_setting(name):
    assert among((leaf for leaf, _ in leaves(Settings().model_dump())), [name])


def test_who_follows_is_told_now_and_later():
    told = []
    in_force = InForce(Settings(device="cpu"))
    in_force.follow(lambda settings: told.append(settings.device))
    in_force.change(Settings(device="cuda"))
    assert (told, in_force.settings.device) == (["cpu", "cuda"], "cuda")
