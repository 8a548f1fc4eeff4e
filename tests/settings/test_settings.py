"""Where settings come from, and which of them wins."""

import os
import sys
from pathlib import Path

import pytest

from sonorant.errors import SettingsError
from sonorant.settings import NetworkSettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch, tmp_path):
    """No settings of this machine: neither environment nor ./sonorant.toml."""
    for name in os.environ:
        if name.startswith("SONORANT_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def toml(text: str, name: str = "sonorant.toml") -> Path:
    path = Path(name)
    path.write_text(text, encoding="utf-8")
    return path


def test_defaults():
    assert load_settings() == Settings()
    assert load_settings().models == ("hibari", "kokoro", "moonshine-tiny", "whisper-base")


def test_a_default_whose_library_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setitem(sys.modules, "faster_whisper", None)
    assert load_settings().models == ("hibari", "kokoro", "moonshine-tiny")
    monkeypatch.setenv("SONORANT_MODELS", "whisper-base")
    assert load_settings().models == ("whisper-base",), "it is named: its failure tells what to install"


def test_command_line_over_environment_over_toml_over_default(monkeypatch):
    assert load_settings().server.port == 8000
    toml("[server]\nport = 1\nhost = '0.0.0.0'\n")
    assert load_settings().server.port == 1
    monkeypatch.setenv("SONORANT_SERVER__PORT", "2")
    assert load_settings().server.port == 2
    overrides = {"server": {"port": 3, "host": None}, "device": None}
    assert load_settings(None, overrides).server.port == 3
    assert load_settings(None, overrides).server.host == "0.0.0.0"
    assert load_settings(None, overrides).device == "cpu"


def test_onnxruntime_options_are_merged_name_by_name(monkeypatch):
    toml('[onnxruntime]\nintra_op_num_threads = 1\n"session.intra_op.allow_spinning" = true\n')
    monkeypatch.setenv("SONORANT_ONNXRUNTIME__INTRA_OP_NUM_THREADS", "2")
    assert load_settings(None, {"onnxruntime": {"log_severity_level": "0"}}).onnxruntime == {
        "intra_op_num_threads": "2",
        "session.intra_op.allow_spinning": True,
        "log_severity_level": "0",
    }


def test_which_file_is_read(monkeypatch):
    toml("device = 'cuda'")
    named = toml("device = 'cuda:1'", "named.toml")
    given = toml("device = 'auto'", "given.toml")
    assert load_settings().device == "cuda"
    monkeypatch.setenv("SONORANT_CONFIG", str(named))
    assert load_settings().device == "cuda:1"
    assert load_settings(given).device == "auto"


def test_lists_are_written_with_commas(monkeypatch):
    monkeypatch.setenv("SONORANT_MODELS", "hibari, piper-joe,")
    monkeypatch.setenv("SONORANT_SERVER__API_KEYS", "alpha,beta")
    monkeypatch.setenv("SONORANT_SERVER__CORS_ORIGINS", "https://a.example")
    settings = load_settings()
    assert settings.models == ("hibari", "piper-joe")
    assert [key.get_secret_value() for key in settings.server.api_keys] == ["alpha", "beta"]
    assert settings.server.cors_origins == ("https://a.example",)
    assert "alpha" not in repr(settings)


def test_keys_with_names_are_written_as_json(monkeypatch):
    monkeypatch.setenv("SONORANT_SERVER__KEYS", '[{"name": "a", "key": "alpha", "requests_per_minute": 60}]')
    [key] = load_settings().server.keys
    assert (key.name, key.key.get_secret_value(), key.requests_per_minute) == ("a", "alpha", 60)
    monkeypatch.setenv("SONORANT_SERVER__KEYS", "alpha")
    with pytest.raises(SettingsError, match="SONORANT_SERVER__KEYS is not JSON"):
        load_settings()


@pytest.mark.parametrize("source", ["toml", "environment", "command line"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        (("device_name",), "device_name is not a setting; known here: models, device, onnxruntime"),
        (("server", "prot"), "server.prot is not a setting; known here: host, port"),
        (("catalogue", "folder"), "catalogue.folder is not a setting; known here: home, offline"),
    ],
)
def test_an_unknown_name_is_answered_with_the_known_ones(monkeypatch, source, path, message):
    overrides = None
    match source:
        case "toml":
            toml((f"[{path[0]}]\n" if len(path) > 1 else "") + f"{path[-1]} = 'x'")
        case "environment":
            monkeypatch.setenv("SONORANT_" + "__".join(path).upper(), "x")
        case _:
            overrides = {path[0]: {path[1]: "x"}} if len(path) > 1 else {path[0]: "x"}
    with pytest.raises(SettingsError) as error:
        load_settings(None, overrides)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[server]\nport = 70000", "server.port: .*65535"),
        ("[server]\nport = 'http'", "server.port: "),
        ("[limits]\nwaiting = 0", "limits.waiting: .*greater than 0"),
        ("[catalogue]\nregion = 'moon'", "catalogue.region: .*'china'"),
        ("models = 'hibari'", "models: "),
        ("server = 5", "server: "),
        ("[onnxruntime]\nintra_op_num_threads = [1]", "onnxruntime.intra_op_num_threads"),
        ("[networks.hibari.anna]\nengine = 'ncnn'", "networks.hibari.anna.engine: .*'openvino'"),
        ("[networks.hibari.anna]\nthread = 1", "anna.thread is not a setting; known here: engine, artefact"),
        ("[networks.hibari.anna]\nthreads = -1", "networks.hibari.anna.threads: "),
        ("[networks.hibari.anna]\nengine = 'torch'\nthreads = 2", "threads cannot be chosen for torch"),
        (
            "[networks.hibari.anna]\nengine = 'openvino'\ntorch.compile = 'default'",
            "options of torch are not for openvino",
        ),
        (
            "[networks.hibari.anna]\nengine = 'torch'\ntorch.compile = 'fast'",
            "torch.compile: .*'max-autotune'",
        ),
        (
            "[networks.hibari.anna]\nengine = 'torch'\ntorch.autocast = 'float16'",
            "torch.autocast is not a setting",
        ),
        ("[networks.hibari.anna]\nengine = 'openvino'\nartefact = 'published'", "what was prepared for it"),
        ("port = ", r"sonorant\.toml cannot be read"),
    ],
)
def test_a_wrong_value_is_named(text, message):
    toml(text)
    with pytest.raises(SettingsError, match=message) as error:
        load_settings()
    assert error.value.remedy


def test_a_file_that_is_not_there_is_an_error(monkeypatch):
    with pytest.raises(SettingsError, match=r"absent\.toml cannot be read"):
        load_settings(Path("absent.toml"))
    monkeypatch.setenv("SONORANT_CONFIG", "gone.toml")
    with pytest.raises(SettingsError, match=r"gone\.toml cannot be read"):
        load_settings()


def test_a_variable_cannot_be_a_group_and_a_value(monkeypatch):
    monkeypatch.setenv("SONORANT_SERVER", "5")
    monkeypatch.setenv("SONORANT_SERVER__PORT", "9")
    with pytest.raises(SettingsError, match="SONORANT_SERVER__PORT and SONORANT_SERVER cannot both be set"):
        load_settings()


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(ValueError, match="frozen"):
        load_settings().server.port = 1


def test_networks_have_engines_of_their_own(monkeypatch):
    toml('[networks.piper-joe."en_US-joe-medium 0"]\nengine = "openvino"\nthreads = 2\n')
    chosen = NetworkSettings(engine="openvino", threads=2)
    assert load_settings().networks == {"piper-joe": {"en_US-joe-medium 0": chosen}}
    monkeypatch.setenv("SONORANT_NETWORKS", '{"hibari": {"anna": {"artefact": "slim+int8"}}}')
    assert load_settings().networks["hibari"]["anna"] == NetworkSettings(artefact="slim+int8")
    monkeypatch.setenv("SONORANT_NETWORKS", "anna")
    with pytest.raises(SettingsError, match="SONORANT_NETWORKS is not JSON"):
        load_settings()


def test_cores_of_a_model_are_some_of_this_process(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 5}, raising=False)
    monkeypatch.setenv("SONORANT_REPLICAS__CORES", '{"kokoro": [1, 5]}')
    assert load_settings().replicas.cores == {"kokoro": (1, 5)}
    for wrong in ("[]", "[2]"):
        monkeypatch.setenv("SONORANT_REPLICAS__CORES", f'{{"kokoro": {wrong}}}')
        with pytest.raises(SettingsError, match="the cores of kokoro are not among .*: 0, 1, 5"):
            load_settings()


def test_the_help_of_the_command_line_names_every_precision():
    from typing import get_args

    from sonorant import settings
    from sonorant.cli import options

    [_, option] = get_args(options.Precision)
    assert {"auto", *get_args(settings.Precision)} == {
        *option.help.rstrip(".").replace(" or", ",").split(": ")[1].split(", ")
    }
