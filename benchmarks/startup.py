"""How soon things begin: `import sonorant`, `sonorant --help`, and a server's first readiness.

    python benchmarks/startup.py

The least of several runs each, beside a bare `python -c pass` in the same run.
"""

from __future__ import annotations

import subprocess
import sys
import time

import machine
from serving import server

ROUNDS = 7


def least(*command: str) -> float:
    """The shortest of `ROUNDS` runs, seconds."""
    times = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> None:
    """Print a table."""
    print("| what | seconds | bound |\n|---|---|---|")
    print(f"| python -c pass | {least(sys.executable, '-c', 'pass'):.3f} | |")
    print(f"| import sonorant | {least(sys.executable, '-c', 'import sonorant'):.3f} | 0.4 |")
    print(f"| sonorant --help | {least(sys.executable, '-m', 'sonorant', '--help'):.3f} | 0.6 |")
    began = time.perf_counter()
    with server("hibari", "moonshine-tiny"):
        print(f"| sonorant serve, until ready | {time.perf_counter() - began:.3f} | |")
    print(
        "; ".join(f"{name} {value}" for name, value in machine.describe("sonorant", "typer", "rich").items())
    )


if __name__ == "__main__":
    main()
