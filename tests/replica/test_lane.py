"""Which calls of a network become the rows of one run, on engines that are functions."""

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest

from sonorant.errors import EngineError
from sonorant.networks import BATCH, Axis, Network, Signature, Tensor
from sonorant.networks.cost import Measured
from sonorant.observe.figures import Figures
from sonorant.observe.meter import Meter
from sonorant.replica import Device
from sonorant.replica.lane import DeviceLane
from sonorant.replica.warm_up import warm_up
from sonorant.settings import LaneSettings

FRAMES = Axis("frames", unit="10 ms", typical=100)
OUT = Axis("out", length=lambda sizes: sizes["frames"])
SIGNATURE = Signature(
    (Tensor("x", "float32", (BATCH, FRAMES)), Tensor("n", "int64", (BATCH,), lengths_of="frames")),
    (Tensor("y", "float32", (BATCH, OUT)),),
)
FLAT = [Measured(10, 1.0), Measured(1000, 1.01)]
"""costs of a network that hears four rows as fast as one"""


def doubled(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return 2 * x


class Engine:
    """Runs a function, remembers the shapes that it was given, and may be held until it is let go."""

    source, inputs, outputs, provider = "x.onnx", SIGNATURE.inputs, SIGNATURE.outputs, "numpy"

    def __init__(self, function: Callable = doubled) -> None:
        self.function, self.shapes, self.stopped = function, [], 0
        self.gate, self.begun = threading.Event(), threading.Semaphore(0)
        self.gate.set()

    def prepare(self, feeds, *, large=False):
        engine = self

        class Running:
            def __call__(self):
                engine.shapes.append(feeds["x"].shape)
                engine.begun.release()
                assert engine.gate.wait(10)
                return {"y": engine.function(feeds["x"], feeds["n"])}

            def stop(self):
                engine.stopped += 1
                engine.gate.set()

        return Running()

    def close(self) -> None: ...


def row(frames: int) -> dict[str, np.ndarray]:
    return {"x": np.full((1, frames), float(frames), np.float32), "n": np.array([frames])}


async def beside(engine: Engine, *lengths: int, batched: bool = True, points=FLAT, **options) -> list:
    """Calls of these lengths, all of which wait while another one has the only slot."""
    device = Device("cpu", slots=1, lanes=LaneSettings(**options))
    lane = DeviceLane(device, SIGNATURE)
    network = Network("n", SIGNATURE, engine, lane)
    lane.batched = batched
    lane.cost.fit(points)
    engine.gate.clear()
    first = asyncio.create_task(network.run(**row(7)))
    assert await asyncio.to_thread(engine.begun.acquire, timeout=10)
    tasks = [asyncio.create_task(network.run(**row(n))) for n in lengths]
    await asyncio.sleep(0)
    engine.gate.set()
    await first
    results = await asyncio.gather(*tasks, return_exceptions=True)
    await asyncio.to_thread(device.close)
    return results


def check(results: list, *lengths: int) -> None:
    for result, n in zip(results, lengths, strict=True):
        np.testing.assert_array_equal(result["y"], np.full((1, n), 2.0 * n))


def test_what_waits_together_runs_together_and_each_gets_its_own():
    engine = Engine()
    check(asyncio.run(beside(engine, 100, 95, 90)), 100, 95, 90)
    assert engine.shapes[1:] == [(3, 100)]


def test_nothing_is_batched_without_a_proof():
    engine = Engine()
    check(asyncio.run(beside(engine, 100, 95, batched=False)), 100, 95)
    assert engine.shapes[1:] == [(1, 95), (1, 100)]  # the short one is due first


def test_lengths_that_would_be_mostly_padding_stay_apart():
    engine = Engine()
    check(asyncio.run(beside(engine, 100, 30, 98, 31)), 100, 30, 98, 31)
    assert engine.shapes[1:] == [(2, 31), (2, 100)]


def test_the_budget_counts_padded_frames():
    engine = Engine()
    check(asyncio.run(beside(engine, *[100] * 5, max_frames=250)), *[100] * 5)
    assert engine.shapes[1:] == [(2, 100), (2, 100), (1, 100)]


def test_steps_finer_than_a_mel_frame_count_by_their_duration():
    samples = Axis("samples", unit="sample at 16 kHz", typical=16_000)
    signature = Signature((Tensor("x", "float32", (BATCH, samples)),), SIGNATURE.outputs)
    lane = DeviceLane(Device("cpu", slots=1, lanes=LaneSettings(max_frames=250)), signature)
    lane.cost.fit(FLAT)

    class Second:
        frames, feeds = 16_000, {"x": np.zeros((1, 16_000), np.float32)}

    assert len(lane.companions(Second(), [Second()] * 5, 1e9)) == 1  # 250 mel frames are 2.5 s


def test_what_gains_nothing_by_a_batch_runs_by_itself_and_is_ready_earlier():
    engine = Engine()
    proportional = [Measured(10, 0.1), Measured(1000, 10.0)]
    check(asyncio.run(beside(engine, 100, 100, points=proportional)), 100, 100)
    assert engine.shapes[1:] == [(1, 100), (1, 100)]


def test_a_batch_does_not_make_late_what_would_be_in_time():
    lane = DeviceLane(Device("cpu", slots=1), SIGNATURE)
    lane.cost.fit([Measured(10, 1.09), Measured(100, 1.9)])  # 1 + frames / 100

    class Call:
        frames, feeds = 100, row(100)

    assert len(lane.companions(Call(), [Call()] * 3, slack=1e9)) == 3
    assert len(lane.companions(Call(), [Call()] * 3, slack=3.1)) == 1
    assert len(lane.companions(Call(), [Call()] * 3, slack=2.5)) == 0
    assert len(lane.companions(Call(), [Call()] * 3, slack=0.1)) == 3  # late anyway


def test_a_batch_that_fails_is_run_again_row_by_row():
    def refusing(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        if 90 in n:
            raise EngineError("no")
        return 2 * x

    engine = Engine(refusing)
    good, bad, other = asyncio.run(beside(engine, 100, 90, 95))
    check([good, other], 100, 95)
    assert isinstance(bad, EngineError)
    assert engine.shapes[1] == (3, 100)
    assert sorted(engine.shapes[2:]) == [(1, 90), (1, 95), (1, 100)]


def short_of(rows: int, times: int = 10**9):
    """Memory for fewer rows than these, so many times."""
    left = [times]

    def function(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        if len(n) >= rows and left[0]:
            left[0] -= 1
            raise EngineError("ONNX Runtime could not finish a run", why="Failed to allocate memory")
        return 2 * x

    return function


@pytest.mark.parametrize(
    ("rows", "shapes"),
    [
        (4, [(4, 100), (2, 100), (2, 100)]),
        (2, [(4, 100), (2, 100), (1, 100), (1, 100), (2, 100), (1, 100), (1, 100)]),
    ],
)
def test_a_batch_for_which_memory_is_short_is_run_in_halves_and_then_row_by_row(rows, shapes):
    engine = Engine(short_of(rows))
    check(asyncio.run(beside(engine, *[100] * 4)), *[100] * 4)
    assert engine.shapes[1:] == shapes


def alone(engine: Engine):
    """One call, and how often memory was counted as short."""
    figures = Figures()

    async def main():
        device = Device("cpu", slots=1)
        network = Network("n", SIGNATURE, engine, DeviceLane(device, SIGNATURE, Meter(figures, "decoder")))
        try:
            return await network.run(**row(5))
        finally:
            await asyncio.to_thread(device.close)

    result = asyncio.run(main())
    return result, {f.name: f.value for f in figures.snapshot().figures}["out_of_memory"]


def test_a_run_for_which_memory_is_short_is_tried_once_more():
    engine = Engine(short_of(1, times=1))
    result, counted = alone(engine)
    check([result], 5)
    assert (len(engine.shapes), counted) == (2, 1)


def test_and_then_says_what_to_do():
    engine = Engine(short_of(1))
    with pytest.raises(EngineError, match=r"not enough memory for a run of decoder.*Send less at a time"):
        alone(engine)
    assert len(engine.shapes) == 2


def test_lanes_obey_what_they_are_told_while_they_run():
    device = Device("cpu", slots=1, lanes=LaneSettings(streams=1, window_ms=10, max_frames=12_000))
    lane = DeviceLane(device, SIGNATURE)
    lane.cost.fit(FLAT)

    class Call:
        frames, feeds = 100, row(100)

    assert len(lane.companions(Call(), [Call()] * 3, slack=1e9)) == 3
    device.tune(40, 200)
    assert len(lane.companions(Call(), [Call()] * 3, slack=1e9)) == 1
    assert device.lanes == LaneSettings(streams=1, window_ms=40, max_frames=200)


def test_a_call_that_runs_is_stopped_when_its_caller_is_cancelled():
    async def main() -> None:
        device, engine = Device("cpu", slots=1), Engine()
        network = Network("n", SIGNATURE, engine, DeviceLane(device, SIGNATURE))
        engine.gate.clear()
        task = asyncio.create_task(network.run(**row(5)))
        assert await asyncio.to_thread(engine.begun.acquire, timeout=10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert engine.stopped == 1
        await asyncio.to_thread(device.close)

    asyncio.run(main())


def mixed(x: np.ndarray, n: np.ndarray) -> np.ndarray:
    return x + x.mean()  # over all rows, padding too


@pytest.mark.parametrize(("function", "proven"), [(doubled, True), (mixed, False)])
def test_the_warm_up_finds_out_whether_batches_equal_solo_runs(function, proven):
    async def main() -> None:
        device = Device("cpu", slots=1)
        lane = DeviceLane(device, SIGNATURE)
        await warm_up(Network("n", SIGNATURE, Engine(function), lane), device)
        assert lane.batched is proven
        assert lane.cost.predict(100) > 0
        device.close()

    asyncio.run(main())


def test_a_network_that_refuses_batches_is_served_without_them():
    def single(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        if len(x) > 1:
            raise EngineError("one row only")
        return 2 * x

    async def main() -> None:
        device = Device("cpu", slots=1)
        lane = DeviceLane(device, SIGNATURE)
        await warm_up(Network("n", SIGNATURE, Engine(single), lane), device)
        assert not lane.batched
        assert lane.cost.predict(100) > 0
        device.close()

    asyncio.run(main())


def test_a_network_that_cannot_run_at_all_fails_the_warm_up():
    def broken(x: np.ndarray, n: np.ndarray) -> np.ndarray:
        raise EngineError("no")

    async def main() -> None:
        device = Device("cpu", slots=1)
        with pytest.raises(EngineError):
            await warm_up(Network("n", SIGNATURE, Engine(broken), DeviceLane(device, SIGNATURE)), device)
        device.close()

    asyncio.run(main())
