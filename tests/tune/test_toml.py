"""What is written is what was tuned, and nothing else of a user's file changes."""

import pytest

from sonorant.errors import SettingsError
from sonorant.settings import PREFIX, load_settings
from sonorant.tune.space import Candidate
from sonorant.tune.toml import write

TUNED = Candidate(
    tuple(
        sorted(
            {
                ("lanes", "streams"): 4,
                ("lanes", "window_ms"): 5.0,
                ("onnxruntime", "intra_op_num_threads"): 1,
                ("networks", "piper-joe", "en_US-joe-medium 1", "artefact"): "slim+int8-static",
                ("networks", "piper-joe", "en_US-joe-medium 1", "threads"): 1,
            }.items()
        )
    )
)

MINE = """\
# ours, by hand
models = ["hibari"]  # only this one

[lanes]
streams = 2          # as on the old machine
max_frames = 6_000

[[server.keys]]
name = "web"
key = "a-long-random-word"

[onnxruntime]
"session.intra_op.allow_spinning" = "0"

[log]
format = "json"
"""


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    import os

    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        monkeypatch.delenv(name)


def tuned(settings) -> None:
    assert (settings.lanes.streams, settings.lanes.window_ms) == (4, 5.0)
    assert settings.onnxruntime["intra_op_num_threads"] == 1
    network = settings.networks["piper-joe"]["en_US-joe-medium 1"]
    assert (network.artefact, network.threads, network.engine) == ("slim+int8-static", 1, "")


def test_a_new_file_reads_back_as_the_tuned_values(tmp_path):
    write(tmp_path / "new.toml", TUNED, ["Made by a test"])
    settings = load_settings(tmp_path / "new.toml")
    tuned(settings)
    assert settings.model_dump(exclude={"lanes", "onnxruntime", "networks"}) == load_settings().model_dump(
        exclude={"lanes", "onnxruntime", "networks"}
    )
    assert (tmp_path / "new.toml").read_text().startswith("# Made by a test\n")


def test_a_users_file_keeps_all_that_it_has(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE)
    file.chmod(0o600)
    write(file, TUNED)
    settings = load_settings(file)
    tuned(settings)
    assert settings.models == ("hibari",)
    assert settings.lanes.max_frames == 6000
    assert settings.onnxruntime["session.intra_op.allow_spinning"] == "0"
    assert settings.server.keys[0].name == "web"
    assert settings.log.format == "json"
    text = file.read_text()
    assert "# ours, by hand" in text
    assert "streams = 4          # as on the old machine" in text
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["mine.toml"]


def test_written_again_it_is_the_same(tmp_path):
    file = tmp_path / "mine.toml"
    file.write_text(MINE)
    write(file, TUNED)
    before = file.read_text()
    write(file, TUNED)
    assert file.read_text() == before


def test_what_cannot_be_edited_by_lines_is_left_and_said(tmp_path):
    file = tmp_path / "inline.toml"
    file.write_text("lanes = { streams = 2 }\n")
    with pytest.raises(SettingsError, match="lanes.streams = 4"):
        write(file, TUNED)
    assert file.read_text() == "lanes = { streams = 2 }\n"


def test_a_file_that_is_no_toml_is_refused(tmp_path):
    file = tmp_path / "broken.toml"
    file.write_text("[lanes\n")
    with pytest.raises(SettingsError, match="cannot be written"):
        write(file, TUNED)
    assert file.read_text() == "[lanes\n"
