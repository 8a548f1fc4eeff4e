"""What is advised follows from the figures."""

from dataclasses import replace

import pytest

from sonorant.prepare.profile.advice import advice
from sonorant.prepare.profile.energy import Energy
from sonorant.prepare.profile.limits import Limits
from sonorant.prepare.profile.tally import Kind, Memory, Report, Stage

CONV = Kind("vocoder", "Conv", 0.08, 40, 0.8, 4e9, 1e8, 50.0, 1.2, 0.85, False, False, (1, 64, 900))
STAGE = Stage("vocoder", True, 0.1, 1, 1.0, 1)
REPORT = Report(
    "m", "cpu", 3, 0.2, 0.1, 1.0, 0.1, 0.1, 0.0, (STAGE,), (), (CONV,), Memory(1, 1, 1), None, Energy({})
)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (CONV, "85% of this machine's float32 peak"),
        (replace(CONV, of_limit=0.2), "at only 20% of the machine's peak"),
        (replace(CONV, of_limit=0.8, memory_bound=True), "held back by memory"),
        (replace(CONV, quantised=True), "only fewer channels or layers"),
        (replace(CONV, quantised=True, of_limit=0.2), "int8 already"),
        (replace(CONV, count=80_000), "too short for threads"),
        (replace(CONV, op="LSTM"), "step by step"),
        (replace(CONV, op="If"), "between the operators of its branches"),
        (replace(CONV, of_limit=0.2, memory_bound=True), "for few rows"),
        (replace(CONV, op="Add", of_limit=0.2, memory_bound=True), "fusing it helps most"),
        (replace(CONV, op="Transpose"), "only moves data"),
        (replace(CONV, of_limit=None), "is not known"),
    ],
)
def test_the_heaviest_operator_decides(kind: Kind, words: str) -> None:
    (told,) = advice(replace(REPORT, kinds=(kind,)))
    assert words in told
    assert told.startswith("80% of the device's time")


def test_convolutions_that_are_quantised_as_they_run_are_compared_with_float32() -> None:
    """ConvInteger is often slower than the float32 convolution that it replaced."""
    kind = replace(CONV, op="ConvInteger", quantised=True)
    (told,) = advice(replace(REPORT, kinds=(kind,), limits=Limits(2, 200.0, 500.0, 20.0)))
    assert "at 50 GOP/s where float32 reaches up to 200" in told


def test_code_beside_the_networks_is_named() -> None:
    stages = (Stage("work: Hibari.voiced", False, 0.09, 1, 0.9, 1),)
    (told,) = advice(replace(REPORT, stages=stages, kinds=()))
    assert "Hibari.voiced" in told


def test_time_outside_the_device_is_told_first() -> None:
    assert "outside the device" in advice(replace(REPORT, outside=0.05))[0]


def test_what_the_profiler_adds_is_no_time_outside_the_device() -> None:
    """Where a request takes 0.1 s, and 0.2 s with a profiler, 0.02 s are a fifth."""
    assert "outside" not in advice(replace(REPORT, outside=0.02))[0]


def test_torchs_operators_are_told_apart() -> None:
    """A product that memory holds back needs more rows; it is no elementwise operator to be fused."""
    kind = replace(CONV, op="aten::mkldnn_convolution", of_limit=0.2, memory_bound=True)
    assert "for few rows" in advice(replace(REPORT, kinds=(kind,)))[0]
    assert "step by step" in advice(replace(REPORT, kinds=(replace(kind, op="aten::mkldnn_rnn_layer"),)))[0]


def test_a_library_with_threads_of_its_own() -> None:
    (told,) = advice(replace(REPORT, stages=(), kinds=()))
    assert "threads of its own" in told
