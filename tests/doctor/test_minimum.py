"""Machines against the minimum."""

from dataclasses import replace

import pytest

from doctor.machines import GOOD, machine, with_card
from sonorant.doctor.cards import Cards
from sonorant.doctor.minimum import shortcomings, verdict
from sonorant.doctor.processor import Ram

NANO = "NVIDIA Jetson Nano Developer Kit"


def test_a_good_machine_lacks_nothing():
    assert shortcomings(GOOD) == []
    assert shortcomings(machine(cards=with_card("Tesla T4", 15, "7.5"))) == []
    assert verdict(GOOD) == {"cores": True, "instructions": True, "memory": True, "disk": True, "gpu": None}


def test_a_machine_that_is_sold_with_8_gb_has_them():
    assert shortcomings(machine(ram=Ram(8_100_000_000, 7_800_000_000, 0))) == []


@pytest.mark.parametrize(
    ("changed", "name", "said"),
    [
        ({"processor": replace(GOOD.processor, usable=2)}, "cores", "2 cores"),
        ({"processor": replace(GOOD.processor, instructions=())}, "instructions", "AVX2"),
        ({"ram": Ram(64 << 30, 4 << 30, 1 << 30)}, "memory", "4.3 GB"),
        ({"disk": dict(GOOD.disk, random_read=0.008)}, "disk", "8.0 ms"),
        ({"disk": {"failed": "/models cannot be written to"}}, "unwritable", "folder"),
        ({"cards": with_card("GTX 1080 Ti", 11, "6.1")}, "gpu", "GTX 1080 Ti"),
        ({"cards": with_card("RTX 3050", 4, "8.6")}, "gpu", "4.3 GB"),
        ({"cards": Cards((), "", "", "Driver Not Loaded", ("NVIDIA",), "")}, "driver", "no driver"),
        ({"cards": Cards((), "", "", "", (), NANO)}, "board", "Jetson Nano"),
    ],
)
def test_what_is_lacking_is_named_with_a_command(changed, name, said):
    (found,) = shortcomings(machine(**changed))
    assert found.name == f"minimum-{name}"
    assert said in found.what.en
    assert found.command
    assert "{" not in found.what.en + found.what.zh + found.why.zh + found.command
    assert found.what.zh != found.what.en


def test_an_arm_processor_needs_no_avx2_and_an_orin_nano_is_no_nano():
    arm = replace(GOOD.processor, machine="aarch64", instructions=("NEON",))
    board = "NVIDIA Jetson Orin Nano Developer Kit"
    assert shortcomings(machine(processor=arm, cards=Cards((), "", "", "", (), board))) == []
