"""`sonorant config show` as a user runs it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import sonorant as package

SOURCES = Path(package.__file__).parent.parent


def config(*words: str, cwd: Path, **more: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("SONORANT_")}
    environment = kept | {"PYTHONPATH": str(SOURCES), "COLUMNS": "120"} | more
    command = [sys.executable, "-m", "sonorant", "config", *words]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_every_setting_says_where_it_came_from(tmp_path):
    (tmp_path / "sonorant.toml").write_text(
        'device = "cuda"\n[server]\nport = 1\napi_keys = ["hidden"]\n'
        '[onnxruntime]\n"session.intra_op.allow_spinning" = "0"\n'
    )
    done = config("show", "--json", cwd=tmp_path, SONORANT_SERVER__PORT="2", SONORANT_LIMITS__WAITING="7")
    rows = {row["setting"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert {name: (row["value"], row["from"]) for name, row in rows.items() if row["from"] != "default"} == {
        "device": ("cuda", "sonorant.toml"),
        "onnxruntime.session.intra_op.allow_spinning": ("0", "sonorant.toml"),
        "server.port": (2, "SONORANT_SERVER__PORT"),
        "server.api_keys": (["**********"], "sonorant.toml"),
        "limits.waiting": (7, "SONORANT_LIMITS__WAITING"),
    }
    assert rows["server.host"]["value"] == "127.0.0.1"
    assert "hidden" not in done.stdout


def test_as_a_table_and_by_another_file(tmp_path):
    (tmp_path / "other.toml").write_text("[limits]\nwaiting = 3\n")
    done = config("show", "--config", "other.toml", cwd=tmp_path)
    (row,) = [line for line in done.stdout.splitlines() if "limits.waiting" in line]
    assert row.split() == ["limits.waiting", "3", "other.toml"]
    chinese = config("show", cwd=tmp_path, LC_ALL="zh_CN.UTF-8").stdout
    assert "默认" in chinese


def test_a_wrong_setting_is_told(tmp_path):
    done = config("show", cwd=tmp_path, SONORANT_SERVER__PROT="2")
    assert done.returncode == 1
    assert "server.prot is not a setting" in done.stderr
