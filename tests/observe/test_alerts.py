"""The alert rules, by Prometheus' own promtool: each fires, and none does below its bound."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from promql_parser import parse

from sonorant.observe.alerts import rules
from sonorant.observe.metrics import Metrics

RULES = yaml.safe_load(rules())["groups"][0]["rules"]
ALERTS = {rule["alert"]: rule for rule in RULES}


def promtool() -> str:
    """The program: on the path, or beside this Python, where `make test-systems` puts it."""
    found = shutil.which("promtool") or shutil.which("promtool", path=Path(sys.executable).parent)
    assert found, "promtool is missing: `make test-systems` fetches it (Debian package prometheus)"
    return found


def run(*arguments: str | Path, given: str = "") -> str:
    """What promtool says, which must be content."""
    command = [promtool(), *map(str, arguments)]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Case:
    """Series (one value a minute, in promtool's notation) and when, in minutes, an alert is there or is not."""

    alert: str
    fires: dict[str, str]
    quiet: dict[str, str]
    """just below its bound"""
    minutes: int = 30


def ratio(bad: str, all_: str) -> tuple[dict[str, str], dict[str, str]]:
    """6 of 100, and 5 of 100."""
    return {bad: "0+6x60", all_: "0+94x60"}, {bad: "0+5x60", all_: "0+95x60"}


def waits(metric: str, labels: str, le: float, beyond: float) -> tuple[dict[str, str], dict[str, str]]:
    """6 of 100 observations lie between `le` and `beyond` seconds, and 4 of 100."""
    fires, quiet = (
        {
            f'{metric}{{{labels}le="{le:g}"}}': f"0+{100 - late}x60",
            f'{metric}{{{labels}le="{beyond:g}"}}': "0+100x60",
            f'{metric}{{{labels}le="+Inf"}}': "0+100x60",
        }
        for late in (6, 4)
    )
    return fires, quiet


MODEL = 'instance="a", model="hibari"'
HTTP = 'http_request_duration_seconds_count{instance="a", route="/v1/audio/speech", status="%s"}'
GPU = 'instance="a", gpu="0"'

CASES = [
    Case("SonorantDown", {'up{job="sonorant", instance="a"}': "1 0 0 0"},
         {'up{job="sonorant", instance="a"}': "1 0 1 1", 'up{job="other", instance="b"}': "0x60"}, 3),
    Case("SonorantMemory",
         {"sonorant_memory_used_bytes": "86x60", "sonorant_memory_limit_bytes": "100x60"},
         {"sonorant_memory_used_bytes": "85x60", "sonorant_memory_limit_bytes": "100x60"}),
    Case("SonorantGpuMemory",
         {f"sonorant_gpu_memory_used_bytes{{{GPU}}}": "86x60", f"sonorant_gpu_memory_limit_bytes{{{GPU}}}": "100x60"},
         {f"sonorant_gpu_memory_used_bytes{{{GPU}}}": "85x60", f"sonorant_gpu_memory_limit_bytes{{{GPU}}}": "100x60"}),
    Case("SonorantQueue",
         {f"sonorant_waiting_seconds{{{MODEL}}}": "62x60", f"sonorant_slots{{{MODEL}}}": "2x60"},
         {f"sonorant_waiting_seconds{{{MODEL}}}": "60x60", f"sonorant_slots{{{MODEL}}}": "2x60"}),
    Case("SonorantQueue", *waits("sonorant_queue_seconds_bucket", f'{MODEL}, stage="decoder", ', 30, 60)),
    Case("SonorantSlowToFirst", *waits("tts_time_to_first_audio_seconds_bucket", f"{MODEL}, ", 20, 30)),
    Case("SonorantSlowToFirst", *waits("asr_time_to_first_text_seconds_bucket", f"{MODEL}, ", 20, 30)),
    Case("SonorantSlowRequests",
         *waits("http_request_duration_seconds_bucket",
                'instance="a", method="POST", route="/v1/audio/speech", status="200", ', 20, 30)),
    Case("SonorantOutOfMemory", {f"sonorant_out_of_memory_total{{{MODEL}}}": "0x5 1x60"},
         {f"sonorant_out_of_memory_total{{{MODEL}}}": "1x60"}, 59),
    Case("SonorantOutOfMemory", {"sonorant_out_of_memory_kills_total": "7x5 8x60"},
         {"sonorant_out_of_memory_kills_total": "7x70"}, 59),
    Case("SonorantSlowLoad", {f"sonorant_load_seconds{{{MODEL}}}": "5.1x60"},
         {f"sonorant_load_seconds{{{MODEL}}}": "5x60"}),
    Case("SonorantCrashLoop", {f"sonorant_restarts_total{{{MODEL}}}": "0x20 1 2 3 4x40"},
         {f"sonorant_restarts_total{{{MODEL}}}": "0x20 1 2 3 3x40"}, 25),
    Case("SonorantDegraded",
         {f'sonorant_model_state{{{MODEL}, state="ready"}}': "1 0x60"},
         {f'sonorant_model_state{{{MODEL}, state="ready"}}': "0 0 0 0 1 0 0 0 0 1"}, 7),
    Case("SonorantStepsTaken", {'sonorant_degraded{instance="a", ladder="load", step="fast"}': "1x60"},
         {'sonorant_degraded{instance="a", ladder="load", step="fast"}': "1x8 0 1x60"}, 12),
    Case("SonorantErrors", *ratio(f'tts_requests_total{{{MODEL}, status="failed"}}', f'tts_requests_total{{{MODEL}, status="ok"}}')),
    Case("SonorantErrors", *ratio(f'asr_requests_total{{{MODEL}, status="failed"}}', f'asr_requests_total{{{MODEL}, status="ok"}}')),
    Case("SonorantServerErrors", *ratio(HTTP % "503", HTTP % "200")),
    Case("SonorantRefusals", *ratio(HTTP % "429", HTTP % "200")),
    Case("SonorantUnderruns", {f"tts_underruns_total{{{MODEL}}}": "0+6x60", f'tts_requests_total{{{MODEL}, status="ok"}}': "0+100x60"},
         {f"tts_underruns_total{{{MODEL}}}": "0+5x60", f'tts_requests_total{{{MODEL}, status="ok"}}': "0+100x60"}),
]  # fmt: skip


def unit_test(case: Case, series: dict[str, str], number: int) -> dict[str, object]:
    """How many alerts of the name fire at the time of the case."""
    firing = f'count(ALERTS{{alertname="{case.alert}", alertstate="firing"}}) or vector(0)'
    expected = [{"labels": "{}", "value": number}]
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{"expr": firing, "eval_time": f"{case.minutes}m", "exp_samples": expected}],
    }


@pytest.mark.heavy
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_an_alert_fires_and_is_quiet_below_its_bound(case, tmp_path):
    (tmp_path / "sonorant.rules.yml").write_text(rules())
    tests = {
        "rule_files": ["sonorant.rules.yml"],
        "evaluation_interval": "1m",
        "tests": [unit_test(case, case.fires, 1), unit_test(case, case.quiet, 0)],
    }
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests))
    run("test", "rules", tmp_path / "tests.yml")


@pytest.mark.heavy
def test_what_an_alert_says(tmp_path):
    (tmp_path / "sonorant.rules.yml").write_text(rules())
    run("check", "rules", tmp_path / "sonorant.rules.yml")
    says = {
        "summary": "Memory ran out at a in hibari",
        "summary_zh": "a 内存耗尽（hibari）",
        **{k: ALERTS["SonorantOutOfMemory"]["annotations"][k] for k in ("description", "description_zh")},
    }
    alert = {"severity": "critical", "instance": "a", "model": "hibari"}
    test = {
        "interval": "1m",
        "input_series": [{"series": f"sonorant_out_of_memory_total{{{MODEL}}}", "values": "0x5 1x60"}],
        "alert_rule_test": [
            {
                "eval_time": "30m",
                "alertname": "SonorantOutOfMemory",
                "exp_alerts": [{"exp_labels": alert, "exp_annotations": says}],
            }
        ],
    }
    tests = {"rule_files": ["sonorant.rules.yml"], "evaluation_interval": "1m", "tests": [test]}
    (tmp_path / "tests.yml").write_text(yaml.safe_dump(tests, allow_unicode=True))
    run("test", "rules", tmp_path / "tests.yml")


@pytest.mark.heavy
def test_promtool_finds_nothing_to_say_about_the_metrics(fakes):
    fake = fakes()
    fake.process.count("runs", stage="decoder", outcome="ok")
    fake.process.observe("run_seconds", 0.1, stage="decoder")
    assert run("check", "metrics", given=Metrics([fake]).text().decode()) == ""


def test_every_alert_is_tried():
    assert {case.alert for case in CASES} == ALERTS.keys()


@pytest.mark.parametrize("page", ["observe.md", "zh/observe.md"])
def test_the_pages_name_every_alert(page):
    text = (Path(__file__).parents[2] / "docs" / page).read_text("utf-8")
    assert set(re.findall(r"^\| `(Sonorant\w+)` \| .+ \|$", text, re.M)) == ALERTS.keys()


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_says_what_why_and_what_to_do_in_both_languages(rule):
    assert parse(rule["expr"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    says = rule["annotations"]
    assert says.keys() == {"summary", "description", "summary_zh", "description_zh"}
    assert len(says["description"]) > 100
    for name in ("summary_zh", "description_zh"):
        assert any("\u4e00" <= character <= "\u9fff" for character in says[name])


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_metrics_that_are_exported(rule, exported):
    for name in set(re.findall(r"\b(?:tts|asr|sonorant|http)_[a-z_]+", rule["expr"])):
        assert name in exported or re.sub("_(bucket|count|sum)$", "", name) in exported, name


def test_the_bounds_of_the_alerts_are_bounds_of_the_histograms():
    """Otherwise a quantile near the bound is a guess."""
    metrics = Metrics([])
    for histogram, bound in (
        (metrics.speech.time_to_first, 20),
        (metrics.transcription.time_to_first, 20),
        (metrics.http, 20),
    ):
        assert bound in histogram._upper_bounds
