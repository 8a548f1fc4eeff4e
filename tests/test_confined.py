"""Functions in child processes under limits."""

import os
import resource
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from sonorant import confined as module
from sonorant.confined import confined
from sonorant.errors import EngineError, ModelFileError

HERE = "test_confined"


@pytest.fixture(autouse=True)
def found(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.path.dirname(__file__))


def answer(number: int) -> dict[str, int]:
    print("libraries print what they like")
    module.report(0.5, "half")
    return {"twice": 2 * number}


def refuse(path: str) -> None:
    raise ModelFileError(f"{path} is no model", remedy="Get another")


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def leave_and_crash() -> None:
    """What it started has its output still open."""
    child = os.fork()
    if not child:
        time.sleep(600)
    module.report(1.0, str(child))
    crash()


def hang() -> None:
    time.sleep(600)


def hungry() -> int:
    return len(bytearray(1 << 30))


def limit() -> int:
    return resource.getrlimit(resource.RLIMIT_DATA)[1]


def within() -> int:
    return confined(f"{HERE}:limit", {}, title="Looking", seconds=30, memory_bytes=1 << 40)


def write() -> None:
    Path("/proc/nowhere").write_text("")


def leave() -> None:
    """As a library that ends its program."""
    sys.exit(3)


def wait_at(step: str, folder: str) -> None:
    """It removes what is half made when its own time is over, which is before its owner ends it."""
    half = Path(folder) / "half"
    half.touch()
    module.report(0.5, step)
    time.sleep(module.left())
    half.unlink()
    time.sleep(600)


TITLE = "Reading x.onnx"


def call(name: str, seconds: float = 30, memory: int = 512 << 20, progress=None, **arguments):
    return confined(
        f"{HERE}:{name}", arguments, title=TITLE, seconds=seconds, memory_bytes=memory, progress=progress
    )


def test_what_it_returns_and_how_far_it_is():
    steps = []
    assert call("answer", number=21, progress=lambda *step: steps.append(step)) == {"twice": 42}
    assert steps == [(0.5, "half")]


def test_our_errors_come_through():
    with pytest.raises(ModelFileError, match=r"x\.onnx is no model\. Get another"):
        call("refuse", path="x.onnx")


def test_a_crash_is_told():
    with pytest.raises(EngineError, match=f"{TITLE} ended unexpectedly \\(SIGSEGV\\)"):
        call("crash")


def test_a_crash_is_told_though_what_it_started_is_left_and_that_is_ended():
    started = []
    with pytest.raises(EngineError, match=f"{TITLE} ended unexpectedly \\(SIGSEGV\\)"):
        call("leave_and_crash", progress=lambda _, doing: started.append(int(doing)))
    deadline = time.monotonic() + 10
    while _runs(started[0]):
        assert time.monotonic() < deadline, "it is still there"
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_one_that_hangs_is_ended():
    with pytest.raises(EngineError, match=f"{TITLE} did not finish within 1 s. It said nothing"):
        call("hang", seconds=1)


def test_one_that_takes_too_long_is_told_with_its_step_and_has_had_time_to_tidy_up(tmp_path):
    with pytest.raises(EngineError) as late:
        call("wait_at", seconds=4, step="installing", folder=str(tmp_path))
    assert str(late.value).startswith(
        f"{TITLE} did not finish within 4 s. It was at: installing. Allow it more"
    )
    assert late.value.localized("zh").startswith(
        "读取 x.onnx 没有在 4 秒内完成。当时正在：安装。请给它更多时间"
    )
    assert list(tmp_path.iterdir()) == []


def test_outside_of_a_child_there_is_time():
    assert module.left() > 1e6


def test_memory_is_limited():
    with pytest.raises(EngineError, match=f"{TITLE} needs more than 512 MiB"):
        call("hungry")


def test_what_the_function_did_not_foresee_is_quoted():
    with pytest.raises(EngineError) as failed:
        call("answer", wrong=1)
    assert failed.value.what == f"{TITLE} ended with an error"
    assert failed.value.why.startswith("TypeError: answer() got an unexpected keyword argument 'wrong'")
    with pytest.raises(EngineError) as failed:
        call("write")
    assert "FileNotFoundError" in failed.value.why
    assert "/proc/nowhere" in failed.value.why
    assert "time" not in failed.value.remedy
    assert failed.value.localized("zh").startswith("读取 x.onnx 出错而结束。")


def test_one_that_ends_by_itself_has_its_own_exit_code():
    with pytest.raises(EngineError, match=f"{TITLE} ended unexpectedly \\(exit code 3\\)"):
        call("leave")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux only")
def test_one_inside_another_has_no_more_than_that():
    assert call("within") == call("limit") == 512 << 20
