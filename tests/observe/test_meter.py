"""Pieces of work, measured on the way through a device."""

import asyncio
import threading

import pytest

from sonorant.errors import EngineError, TextError
from sonorant.observe.context import request_id
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter, out_of_memory
from sonorant.replica import Device


def value(figures: Figures, name: str, *labels: str) -> float:
    rows = figures.snapshot().figures
    return next((row.value for row in rows if (row.name, row.labels) == (name, labels)), 0.0)


def test_waiting_and_running_are_told_apart():
    figures, gate, begun = Figures(), threading.Event(), threading.Event()
    meter = Meter(figures, "decoder")

    def first() -> None:
        begun.set()
        assert gate.wait(10)

    async def main() -> None:
        device = Device("cpu", slots=1)
        running = asyncio.create_task(device.run(meter.timed(first, rows=1)))
        await asyncio.to_thread(begun.wait, 10)
        waiting = asyncio.create_task(device.run(meter.timed(lambda: None, rows=1)))
        await asyncio.sleep(0.2)
        gate.set()
        await asyncio.gather(running, waiting)
        device.close()

    asyncio.run(main())
    assert value(figures, "runs", "decoder", "ok") == 2
    assert value(figures, "queue_seconds", "decoder") >= 0.2  # the second waited for the first …
    assert value(figures, "run_seconds", "decoder") >= 0.2  # … which ran as long
    assert value(figures, "batch_rows", "decoder") == 2


def test_a_batch_and_its_padding():
    figures = Figures()
    meter = Meter(figures, "decoder")
    waiting = [meter.asked() for _ in range(4)]
    for asked in waiting:
        asked.begins()
    assert waiting[0].run(lambda: "done", rows=4, padding=0.25) == "done"
    assert value(figures, "runs", "decoder", "ok") == 1
    assert value(figures, "batch_rows", "decoder") == 4
    assert value(figures, "padding_ratio", "decoder") == 0.25
    rows = figures.snapshot().figures
    assert [sum(row.buckets) for row in rows if row.name == "queue_seconds"] == [4]


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (
            EngineError(
                "ONNX Runtime could not finish a run", why="Failed to allocate memory for 4096 bytes"
            ),
            1,
        ),
        (EngineError("torch could not finish a run", why="CUDA out of memory. Tried to allocate 2 GiB"), 1),
        (
            EngineError(
                "ONNX Runtime could not finish a run",
                why="Available memory of 46686720 is smaller than requested bytes of 215613696",
            ),
            1,
        ),
        (MemoryError(), 1),
        (EngineError("ONNX Runtime could not finish a run", why="It was told to stop"), 0),
    ],
)
def test_failures_and_those_for_want_of_memory(error, short):
    def fail() -> None:
        raise error

    figures = Figures()
    with pytest.raises(type(error)):
        Meter(figures, "decoder").run(fail)
    assert value(figures, "runs", "decoder", "failed") == 1
    assert value(figures, "out_of_memory") == short


def test_the_cause_of_an_error_counts():
    error = EngineError("A part failed")
    error.__cause__ = MemoryError()
    assert out_of_memory(error)
    assert not out_of_memory(EngineError("A part failed"))
    assert not out_of_memory(TextError("'out of memory' cannot be spoken"))


def test_work_on_a_slot_knows_its_request():
    async def main() -> str:
        request_id.set("r7")
        device = Device("cpu", slots=1)
        told = await device.run(Meter(Figures(), "work").timed(request_id.get))
        device.close()
        return told

    assert asyncio.run(main()) == "r7"
