"""Where and with what a figure was measured, to stand beside it."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path


def describe(*packages: str) -> dict[str, str]:
    """Date (UTC), machine, Python, and the versions of `packages` that are installed."""
    facts = {
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "machine": f"{os.cpu_count()} × {_processor()}, {platform.system()} {platform.machine()}",
        "python": platform.python_version(),
    }
    for package in packages:
        try:
            facts[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            facts[package] = "not installed"
    return facts


def show(facts: Mapping[str, str], rows: Sequence[Mapping[str, object]], as_json: bool) -> None:
    """Print figures, and where they come from."""
    if as_json:
        print(json.dumps({"facts": facts, "rows": rows}, indent=2))
        return
    print(facts)
    for row in rows:
        print("  ".join(f"{name}: {value}" for name, value in row.items()))


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or "unknown processor")
