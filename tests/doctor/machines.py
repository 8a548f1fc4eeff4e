"""A machine for tests: as it should be, and changed in one respect."""

from dataclasses import replace
from typing import Any

from sonorant.doctor.cards import Card, Cards
from sonorant.doctor.environment import Environment
from sonorant.doctor.processor import Processor, Ram

GOOD = Environment(
    system="Linux",
    python="3.12.1",
    glibc="2.36",
    processor=Processor("a processor", "x86_64", 8, 8, ("AVX2",)),
    ram=Ram(32 << 30, 16 << 30, 8 << 30),
    cards=Cards((), "", "", "no driver", (), ""),
    disk={"folder": "/models", "free": 1 << 40, "write": 5e8, "read": 2e9, "random_read": 1e-4},
    libraries={},
    packages={"numpy": "2.4.6"},
)


def machine(**changed: Any) -> Environment:
    return replace(GOOD, **changed)


def with_card(
    name: str, gigabytes: float, capability: str, driver: str = "580.1", cuda: str = "13.0"
) -> Cards:
    return Cards((Card(name, int(gigabytes * 2**30), capability),), driver, cuda, "", ("NVIDIA",), "")
