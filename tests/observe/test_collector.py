"""What Prometheus reads."""

import asyncio
import os
import re
from pathlib import Path

import psutil
import pytest

from sonorant.observe import machine, process
from sonorant.observe.collector import LOADS
from sonorant.observe.figures import Figures
from sonorant.observe.gpus import Gpu, Gpus
from sonorant.observe.metrics import Metrics

DOCS = Path(__file__).parents[2] / "docs"


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_figures_of_a_replica(fakes):
    fake = fakes()
    metrics = Metrics([fake, fakes("kokoro")])
    fake.process.count("runs", 2, stage="decoder", outcome="ok")
    fake.process.observe("run_seconds", 0.02, stage="decoder")
    fake.process.observe("run_seconds", 100, stage="decoder")
    stage = {"model": "hibari", "stage": "decoder"}
    assert value(metrics, "sonorant_runs_total", **stage, outcome="ok") == 2
    assert value(metrics, "sonorant_run_seconds_bucket", **stage, le="0.01") == 0
    assert value(metrics, "sonorant_run_seconds_bucket", **stage, le="0.025") == 1
    assert value(metrics, "sonorant_run_seconds_bucket", **stage, le="60.0") == 1
    assert value(metrics, "sonorant_run_seconds_bucket", **stage, le="+Inf") == 2
    assert value(metrics, "sonorant_run_seconds_count", **stage) == 2
    assert value(metrics, "sonorant_run_seconds_sum", **stage) == pytest.approx(100.02)
    assert value(metrics, "sonorant_runs_total", model="kokoro", stage="decoder", outcome="ok") is None


def test_counters_never_go_down_when_a_process_is_started_anew(fakes):
    fake = fakes()
    metrics, seen = Metrics([fake]), []
    for runs in (5, 1, 2):
        fake.process = Figures()
        fake.process.count("out_of_memory", runs)
        seen.append(value(metrics, "sonorant_out_of_memory_total", model="hibari"))
    assert seen == [5, 6, 8]


def test_counters_begin_with_zero(fakes):
    """Prometheus' increase() is 0 for a counter that appears with its first event."""
    metrics = Metrics([fakes()])
    for name in ("sonorant_out_of_memory_total", "sonorant_restarts_total", "tts_underruns_total"):
        assert value(metrics, name, model="hibari") == 0
    assert value(metrics, "tts_requests_total", model="hibari", status="failed") == 0
    assert value(metrics, "asr_requests_total", model="hibari", status="failed") is None


def test_how_busy_a_replica_is(fakes):
    metrics = Metrics([fakes()])
    told = {name: value(metrics, metric, model="hibari") for name, (metric, _) in LOADS.items()}
    assert told == {"slots": 2, "running": 1, "waiting": 3, "waiting_seconds": 1.5, "longest_running": 0.25}


def test_processes_the_gateway_s_and_the_replica_s(fakes):
    metrics = Metrics([fakes(own=[process.snapshot()])])
    for owner in ("gateway", "hibari"):
        resident = value(metrics, "sonorant_resident_bytes", process=owner)
        assert resident == pytest.approx(psutil.Process().memory_info().rss, rel=0.2)
        times = psutil.Process().cpu_times()
        assert value(metrics, "sonorant_cpu_seconds_total", process=owner) == pytest.approx(
            times.user + times.system, abs=1
        )
        assert value(metrics, "sonorant_open_files", process=owner) == pytest.approx(
            psutil.Process().num_fds(), abs=2
        )
        assert value(metrics, "sonorant_threads", process=owner) == psutil.Process().num_threads()


def test_processor_time_where_there_is_no_proc(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    [figure] = process.snapshot().figures
    assert (figure.name, figure.value > 0) == ("cpu_seconds", True)


def test_memory_of_this_machine():
    memory = machine.memory()
    assert memory is not None
    assert 0 < memory.used < memory.limit <= psutil.virtual_memory().total
    metrics = Metrics([])
    assert value(metrics, "sonorant_memory_limit_bytes") == memory.limit


MEMINFO = "MemTotal:       1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\nHugePages_Total:       0\n"


def files(root: Path, **texts: str) -> Path:
    for name, text in texts.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_memory_of_a_machine_without_a_limit(tmp_path):
    files(tmp_path, proc__meminfo=MEMINFO, proc__vmstat="oom_kill 2\n", proc__self__cgroup="0::/\n")
    assert machine.memory(tmp_path) == machine.Memory(600 * 1024, 1000 * 1024, 2)


def test_memory_of_a_container(tmp_path):
    """cgroup v2: docs.kernel.org/admin-guide/cgroup-v2.html, memory interface files."""
    files(tmp_path, proc__meminfo=MEMINFO, proc__vmstat="oom_kill 2\n", proc__self__cgroup="0::/a/b\n")
    group = files(tmp_path / "sys/fs/cgroup/a/b")
    files(group, **{"memory.max": "500000\n", "memory.current": "400000\n"})
    files(group, **{"memory.stat": "anon 5\ninactive_file 100000\n", "memory.events": "oom 9\noom_kill 7\n"})
    assert machine.memory(tmp_path) == machine.Memory(300_000, 500_000, 7)
    files(group, **{"memory.max": "max\n"})
    assert machine.memory(tmp_path).limit == 1000 * 1024


def test_memory_of_a_container_of_the_old_kind(tmp_path):
    files(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="9:cpu:/x\n4:memory:/a\n0::/\n")
    group = files(tmp_path / "sys/fs/cgroup/memory/a")
    files(group, **{"memory.limit_in_bytes": "500000\n", "memory.usage_in_bytes": "400000\n"})
    files(
        group, **{"memory.stat": "total_inactive_file 1\n", "memory.oom_control": "under_oom 0\noom_kill 3\n"}
    )
    assert machine.memory(tmp_path) == machine.Memory(399_999, 500_000, 3)
    files(group, **{"memory.limit_in_bytes": "9223372036854771712\n"})
    assert machine.memory(tmp_path).limit == 1000 * 1024


def test_a_system_that_tells_nothing(tmp_path):
    assert machine.memory(tmp_path) is None


def test_gpus_are_told_of_where_there_are_some():
    metrics = Metrics([])
    metrics._machine.gpus = (Gpu("0", "H100", 0.4, 10, 80), Gpu("1", "H100", 0.0, 1, 80))
    assert value(metrics, "sonorant_gpu_utilization_ratio", gpu="0") == 0.4
    assert value(metrics, "sonorant_gpu_memory_used_bytes", gpu="1") == 1
    assert value(metrics, "sonorant_gpu_memory_limit_bytes", gpu="1") == 80


def test_no_gpu_is_made_up():
    metrics = Metrics([])
    if Gpus().present:
        pytest.skip("this machine has an NVIDIA driver")
    asyncio.run(metrics.read())
    assert b"gpu" not in metrics.text()


def test_gpus_by_the_library_s_own_names(monkeypatch):
    """The functions and fields of NVML that are read, as nvidia-ml-py declares them."""
    pynvml = pytest.importorskip("pynvml")
    gpus = Gpus()

    class Library:
        NVMLError = pynvml.NVMLError
        nvmlDeviceGetCount = staticmethod(lambda: 2)  # noqa: N815

        @staticmethod
        def nvmlDeviceGetHandleByIndex(index):  # noqa: N802
            if index == 1:
                raise pynvml.NVMLError(pynvml.NVML_ERROR_GPU_IS_LOST)
            return index

        @staticmethod
        def nvmlDeviceGetMemoryInfo(_):  # noqa: N802
            return pynvml.c_nvmlMemory_t(total=80, free=70, used=10)

        @staticmethod
        def nvmlDeviceGetUtilizationRates(_):  # noqa: N802
            return pynvml.c_nvmlUtilization_t(gpu=40, memory=5)

        @staticmethod
        def nvmlDeviceGetName(_):  # noqa: N802
            return "H100"

    for name in ("nvmlInit", *(n for n in vars(Library) if n.startswith("nvmlDevice"))):
        assert hasattr(pynvml, name)
    monkeypatch.setattr(gpus, "_nvml", Library)
    assert gpus.read() == (Gpu("0", "H100", 0.4, 10, 80),)


@pytest.mark.parametrize("page", [DOCS / "observe.md", DOCS / "zh" / "observe.md"], ids=["en", "zh"])
def test_the_pages_name_every_metric_with_its_labels(page, exported):
    if os.name != "posix":
        pytest.skip("not every figure is there")
    rows = re.findall(
        r"^\| `((?:tts|asr|sonorant|http)_\w+)` \| (.*?) \| .+ \|$", page.read_text("utf-8"), re.M
    )
    assert dict(rows) == exported
