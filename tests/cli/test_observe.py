"""`sonorant observe`: what the programs that watch a server are given."""

import json

import pytest
import yaml
from typer.testing import CliRunner

from sonorant.cli import app


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["observe", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_alert_rules():
    (group,) = yaml.safe_load(printed("alerts"))["groups"]
    assert "SonorantOutOfMemory" in {rule["alert"] for rule in group["rules"]}


@pytest.mark.parametrize(
    ("language", "title"), [("C.UTF-8", "Time to first audio"), ("zh_CN.UTF-8", "首个音频时间")]
)
def test_a_dashboard_in_the_language_of_the_terminal(language, title, monkeypatch):
    monkeypatch.setenv("LC_ALL", language)
    assert title in {panel["title"] for panel in json.loads(printed("dashboard"))["panels"]}


def test_anything_else_is_refused():
    result = CliRunner().invoke(app, ["observe", "nonsense"])
    assert result.exit_code == 2
    assert "alerts" in result.output
