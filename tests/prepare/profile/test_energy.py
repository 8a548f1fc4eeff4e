"""Joules from the system's counters."""

from pathlib import Path

import pytest

from sonorant.prepare.profile.energy import Counters


def package(root: Path, microjoules: int) -> Path:
    zone = root / "intel-rapl:0"
    zone.mkdir(exist_ok=True)
    (zone / "name").write_text("package-0\n")
    (zone / "energy_uj").write_text(f"{microjoules}\n")
    (zone / "max_energy_range_uj").write_text("10000000\n")
    return zone


def test_what_was_used_between_two_readings(tmp_path: Path) -> None:
    package(tmp_path, 1_000_000)
    counters = Counters("cpu", tmp_path)
    package(tmp_path, 3_500_000)
    assert counters.taken().joules == {"package-0": pytest.approx(2.5)}


def test_a_counter_that_began_again(tmp_path: Path) -> None:
    package(tmp_path, 9_000_000)
    counters = Counters("cpu", tmp_path)
    package(tmp_path, 500_000)
    assert counters.taken().joules == {"package-0": pytest.approx(1.5)}


def test_a_machine_without_counters_says_so(tmp_path: Path) -> None:
    energy = Counters("cpu", tmp_path).taken()
    assert (energy.joules, energy.unavailable) == ({}, "This machine shows no RAPL counters")
