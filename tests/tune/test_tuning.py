"""A model is really tuned: served, measured, and what is chosen is written and served."""

import json
import os
import subprocess
import sys

import pytest

from sonorant.settings import load_settings

pytestmark = [pytest.mark.system, pytest.mark.heavy]


def tune(folder, *words: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("SONORANT_LANES", "SONORANT_NETWORKS"))}
    command = [sys.executable, "-m", "sonorant", "tune", *map(str, words)]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == code, done.stdout + done.stderr
    return done


@pytest.fixture
def home(tmp_path):
    """Settings whose home has the models of this machine, and a journal of its own."""
    models = load_settings().catalogue.home.expanduser() / "models"
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "models").symlink_to(models)
    config = tmp_path / "sonorant.toml"
    config.write_text(f'[catalogue]\nhome = "{tmp_path / "home"}"\n')
    return config


def test_hibari_is_tuned_and_what_was_measured_is_kept(home, tmp_path):
    words = ("hibari", "--seconds", 240, "--clients", 2, "--slo", "ttfa_p95<30s,memory<8GB", "--config", home)
    done = tune(tmp_path, *words, "--trials", 2, "--json", "--plot", tmp_path / "a.svg", "--write", home)
    tree = json.loads(done.stdout)
    assert tree["chosen"] is not None
    assert tree["measured"] == 2
    (journal,) = (tmp_path / "home" / "tune").glob("hibari-*.jsonl")
    assert str(journal) == tree["journal"]
    for row in tree["rows"]:
        figures = row["figures"]
        assert figures["answered"] == 1.0
        assert 0 < figures["ttfa_p50"] <= figures["ttfa_p95"] <= figures["latency_p99"]
        assert 50e6 < figures["memory"] < 8e9
    settings = load_settings(home).model_dump(mode="json")
    for table, values in tree["chosen"].items():
        if table == "lanes":
            assert values.items() <= settings[table].items()
    # what was measured is not measured again
    again = json.loads(tune(tmp_path, *words, "--json", "--trials", 1).stdout)
    assert again["measured"] <= 1 or again["circumstances"] != tree["circumstances"]


def test_what_nothing_keeps_is_said_with_the_nearest(home, tmp_path):
    done = tune(
        tmp_path, "hibari", "--seconds", 12, "--clients", 1, "--slo", "memory<10MB", "--config", home, code=1
    )
    assert "Nothing keeps the bounds" in done.stdout
    assert "which misses memory < 10 MB by" in done.stdout
