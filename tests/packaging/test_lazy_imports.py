"""`import sonorant` and `sonorant --help` load nothing heavy (benchmarks/startup.py has the times)."""

import subprocess
import sys

import pytest

HEAVY = (
    "numpy",
    "onnxruntime",
    "onnx",
    "av",
    "soxr",
    "fastapi",
    "uvicorn",
    "pydantic",
    "httpx",
    "wetext",
    "hibari",
    "torch",
)


@pytest.mark.parametrize(
    "code",
    [
        "import sonorant; sonorant.__version__",
        "import sonorant.tasks, sonorant.errors",
        "from sonorant.cli import app; from typer.main import get_command; get_command(app)",
        "import sys; sys.argv = ['sonorant', '--help']\nfrom sonorant.cli import app\n"
        "try: app()\nexcept SystemExit: pass",
    ],
)
def test_nothing_heavy_is_imported(code: str) -> None:
    report = f"{code}\nimport sys\nprint('HEAVY', [m for m in {HEAVY!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", report], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.splitlines()[-1] == "HEAVY []"


def test_everything_named_is_there() -> None:
    import sonorant

    for name in sonorant.__all__:
        assert getattr(sonorant, name) is not None
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = sonorant.no_such_thing
