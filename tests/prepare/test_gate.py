"""What the gate lets through, what it says of the rest, and that its thresholds are whole."""

import json
from dataclasses import asdict, replace

import pytest

from sonorant.errors import RequestError
from sonorant.networks.proof import Quality
from sonorant.prepare.gate import judge, sentences, thresholds
from sonorant.prepare.quality.figures import Figure, Figures, mean, ratio
from sonorant.prepare.quality.judges import Judges

TABLES = thresholds()


def spotless(kind: str = "speech", *, varied: bool = False) -> Figures:
    names = [name for name, threshold in TABLES[kind].items() if not (varied and threshold.aligned)]
    return Figures(kind, 12, varied, {name: Figure(0.0) for name in names})


@pytest.mark.parametrize("kind", TABLES)
def test_no_change_passes_and_every_figure_beyond_its_bound_fails(kind):
    assert judge(spotless(kind), TABLES).outcome == "passed"
    for name, threshold in TABLES[kind].items():
        worse = spotless(kind)
        worse.values[name] = Figure(threshold.most * 1.01 + 1e-3, worst=3)
        verdict = judge(worse, TABLES)
        assert (verdict.outcome, [found.figure for found in verdict.failed]) == ("failed", [name])
        assert f"{name}: " in sentences(verdict)[1]
        assert sentences(verdict)[2].startswith("  Try: ")


@pytest.mark.parametrize("kind", TABLES)
def test_every_threshold_says_why_what_it_means_and_what_mends_it_in_both_languages(kind):
    for threshold in TABLES[kind].values():
        assert len(threshold.reason) > 20
        assert threshold.means.keys() == {"en", "zh"}
        assert all(mend.keys() == {"en", "zh"} for mend in threshold.mends)
        assert threshold.mends


def test_the_bounds_that_were_agreed():
    speech = TABLES["speech"]
    assert [speech[name].bound(False) for name in ("dnsmos_drop", "distillmos_drop")] == [0.05, 0.05]
    assert [speech[name].bound(False, "int8") for name in ("dnsmos_drop", "distillmos_drop")] == [0.2, 0.2]
    assert speech["wer_increase"].interval


def test_what_is_missing_does_not_pass():
    figures = spotless()
    del figures.values["dnsmos_drop"]
    figures.unmeasured["dnsmos_drop"] = "the model dnsmos cannot be had"
    verdict = judge(figures, TABLES)
    assert (verdict.outcome, verdict.passed) == ("not measured", False)
    assert sentences(verdict) == [
        "Not measured: what was measured is within its bounds, but 1 figures are missing.",
        "dnsmos_drop: not measured: the model dnsmos cannot be had",
    ]


def test_a_failure_outweighs_what_is_missing():
    figures = spotless()
    del figures.values["speaker"]
    figures.values["clicks"] = Figure(1)
    assert judge(figures, TABLES).outcome == "failed"


def test_not_a_number_fails():
    figures = spotless()
    figures.values["level"] = Figure(float("nan"))
    assert [found.figure for found in judge(figures, TABLES).failed] == ["level"]


def test_a_quantised_artefact_may_lose_more_by_choice_and_the_verdict_says_so():
    figures = spotless()
    figures.values["distillmos_drop"] = Figure(0.15)
    refused = judge(figures, TABLES)
    assert (refused.outcome, refused.wider) == ("failed", "int8")
    assert sentences(refused)[-1] == "With --allow int8 it would be good enough."
    verdict = judge(figures, TABLES, allow="int8")
    assert verdict.passed
    assert sentences(verdict) == [
        f"Passed: {len(TABLES['speech'])} figures are within their bounds.",
        "distillmos_drop: 0.15 MOS is more than usual, allowed for int8 by choice.",
    ]
    figures.values["distillmos_drop"] = Figure(0.21)
    assert judge(figures, TABLES).wider == ""
    assert judge(figures, TABLES, allow="int8").outcome == "failed"


def test_more_words_are_wrong_for_certain_even_where_they_are_few():
    figures = spotless()
    figures.values["wer_increase"] = Figure(0.015, (0.004, 0.03))
    assert judge(figures, TABLES).outcome == "failed"
    figures.values["wer_increase"] = Figure(0.015, (0.0, 0.03))
    assert judge(figures, TABLES).passed


def test_a_voice_that_differs_from_itself_has_bounds_of_its_own_and_is_not_laid_over():
    figures = spotless(varied=True)
    figures.values["duration"] = Figure(0.05)
    assert judge(figures, TABLES).passed
    assert "pesq_loss" not in judge(figures, TABLES).bounds
    assert judge(replace(figures, varied=False), TABLES).outcome == "failed"


def test_the_worst_comes_first():
    figures = spotless()
    figures.values |= {"level": Figure(0.6), "pesq_loss": Figure(2.5), "clicks": Figure(1)}
    assert [found.figure for found in judge(figures, TABLES).failed] == ["clicks", "pesq_loss", "level"]


def test_verdict_and_figures_travel_as_json():
    figures = spotless()
    figures.values["clicks"] = Figure(2, worst=4)
    figures.values["dnsmos_drop"] = mean([0.1, -0.1, 0.0])
    figures.judges["dnsmos"] = "dnsmos"
    tree = json.loads(json.dumps(asdict(judge(figures, TABLES))))
    [failed] = tree["failed"]
    assert (failed["figure"], failed["value"], failed["bound"], failed["worst"]) == ("clicks", 2, 0, 4)
    tree = json.loads(json.dumps(figures.to_dict()))
    assert tree["values"]["clicks"] == {"value": 2, "interval": None, "worst": 4}
    assert tree["values"]["dnsmos_drop"]["interval"] == list(figures.values["dnsmos_drop"].interval)
    assert tree["judges"] == {"dnsmos": "dnsmos"}


def test_chinese():
    figures = spotless()
    figures.values["clicks"] = Figure(2, worst=4)
    assert sentences(judge(figures, TABLES), "zh")[:2] == [
        f"未通过：{len(TABLES['speech'])} 项指标中有 1 项超出限度。",
        "clicks：2，限度为 0（第 5 项最明显）。通常意味着：波形突跳：片段拼接有误或数值溢出。",
    ]


def test_unknown_kinds_and_precisions_are_refused():
    with pytest.raises(RequestError, match="There are no thresholds for 'song'. Choose speech"):
        judge(Figures("song", 1), TABLES)
    with pytest.raises(RequestError, match="There are no wider thresholds for 'int2'. Choose int8, or none"):
        judge(spotless(), TABLES, allow="int2")


def test_the_bootstrap_is_paired_and_the_same_each_time():
    """Items differ by 3 among themselves, the two of a pair by 0.1 for certain."""
    figure = mean([0.1] * 20)
    assert figure.value == pytest.approx(0.1)
    assert figure.interval == pytest.approx((0.1, 0.1))
    parts = [0, 1, 0, 2, 0, 0, 1, 0]
    assert ratio(parts, [10] * 8) == ratio(parts, [10] * 8)
    low, high = ratio(parts, [10] * 8).interval
    assert low < 4 / 80 < high


@pytest.mark.parametrize("kind", TABLES)
def test_a_verdict_is_the_same_after_it_was_kept(kind):
    for name, threshold in TABLES[kind].items():
        for figure in (Figure(threshold.most * 1.5 + 0.1, worst=0), Figure(0.0, (0.01, 0.02))):
            worse = spotless(kind)
            worse.values[name] = figure
            verdict = judge(worse, TABLES)
            assert Quality.of(json.loads(json.dumps(asdict(verdict)))) == verdict


def test_what_is_missing_is_said_in_chinese_too():
    figures = spotless()
    del figures.values["dnsmos_drop"]
    figures.unmeasured["dnsmos_drop"] = Judges().reason("dnsmos")
    assert sentences(judge(figures, TABLES), "zh") == [
        "未测全：已测指标均在限度之内，但缺少 1 项。",
        "dnsmos_drop：未测：没有询问 dnsmos",
    ]
