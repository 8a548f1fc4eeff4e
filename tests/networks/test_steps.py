"""Several sequences as rows of one run, on a tiny decoder with random weights that is made here."""

import asyncio
import threading

import numpy as np
import onnx
import pytest

from sonorant.errors import EngineError
from sonorant.networks import Network
from sonorant.networks.cost import CostModel, Measured
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.options import OnnxRuntimeOptions
from sonorant.networks.onnx_file import MICROSOFT, Graph
from sonorant.networks.sampling import Sampling
from sonorant.networks.steps import BURST, ROWS, Burst, Row, Steps, memory_signature, steps_signature
from sonorant.replica import Device
from sonorant.replica.lane import DeviceLane

HEADS, WIDTH, VOCABULARY = 2, 4, 23
HIDDEN = HEADS * WIDTH
MEMORY = memory_signature(layers=1, heads=HEADS, width=WIDTH, hidden=HIDDEN)
SIGNATURE = steps_signature(layers=1, heads=HEADS, width=WIDTH, vocabulary=VOCABULARY)


def tiny() -> bytes:
    """One layer: what was said and what is heard, attended to by the token and its position."""
    chance = np.random.default_rng(3)
    shapes = {"embed": (VOCABULARY, HIDDEN), "places": (512, HIDDEN), "q": (HIDDEN, HIDDEN),
              "k": (HIDDEN, HIDDEN), "v": (HIDDEN, HIDDEN), "out": (HIDDEN, VOCABULARY)}  # fmt: skip
    weights = {name: chance.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    weights |= {"heads": np.array([0, HEADS, 1, WIDTH]), "flat": np.array([0, HIDDEN]), "one": np.array([1]),
                "both": np.array([1, 2]), "1": np.float32([1]), "low": np.float32([1e9]), "step": np.array(1), "zero": np.array(0),
                "first": np.array([0]), "sides": np.array([1, 3])}  # fmt: skip
    graph = Graph()
    graph.weights |= weights
    op = graph.op

    def attended(query: str, memory: str, mask: str) -> str:
        scores = op("FusedMatMul", query, f"{memory}.key", domain=MICROSOFT, transB=1)
        away = op("Unsqueeze", op("Mul", op("Sub", mask, "1"), "low"), "both")
        return op("MatMul", op("Softmax", op("Add", scores, away), axis=-1), f"{memory}.value")

    x = op("Add", op("Gather", "embed", "token"), op("Gather", "places", "position"))
    query, key, value = (op("Reshape", op("MatMul", x, w), "heads") for w in "qkv")
    slots = op("Range", "zero", op("Squeeze", op("Shape", "past.0.key", start=2, end=3), "first"), "step")
    places = op("Unsqueeze", "position", "one")
    filled = op("Cast", op("LessOrEqual", slots, places), to=1)
    here = op("Unsqueeze", op("Equal", slots, places), "sides")
    op("Where", here, key, "past.0.key", name="grown.0.key")
    op("Where", here, value, "past.0.value", name="grown.0.value")
    said, heard = attended(query, "grown.0", filled), attended(query, "frames.0", "frames_mask")
    op("MatMul", op("Reshape", op("Add", said, heard), "flat"), "out", name="logits")
    op("ArgMax", "logits", axis=1, keepdims=0, name="next")
    op("ReduceMax", op("LogSoftmax", "logits", axis=1), "one", keepdims=0, name="logprob")
    op("Add", "position", "step", name="next_position")
    return graph.file(SIGNATURE.inputs, SIGNATURE.outputs)


@pytest.fixture(scope="module")
def network(tmp_path_factory) -> Network:
    path = tmp_path_factory.mktemp("steps") / "tiny.onnx"
    path.write_bytes(tiny())
    onnx.checker.check_model(path, full_check=True)
    engine = OnnxRuntime(path, OnnxRuntimeOptions({"intra_op_num_threads": 1}))
    return Network("steps", SIGNATURE, engine, DeviceLane(Device("cpu", slots=2), SIGNATURE))


def row(seed: int, *, left: int = 60, temperature: float = 0.0) -> Row:
    """A sequence that hears something of its own length."""
    chance = np.random.default_rng(seed)
    shape = (HEADS, 5 + 7 * seed, WIDTH)
    frames = {f"frames.0.{kv}": chance.normal(0, 1, shape).astype(np.float32) for kv in ("key", "value")}
    return Row(seed, frames, Sampling(temperature, seed), left)


def steps_of(network: Network, end: int = -1) -> Steps:
    return Steps(network, network, network, begin=0, end=end)


def alone(network: Network, of: Row, end: int = -1) -> list:
    steps, tokens = steps_of(network, end), []
    while not of.ended:
        tokens += Burst(steps, [of])()[0]
    return tokens


def same(found: list, expected: list) -> None:
    assert [token.id for token in found] == [token.id for token in expected]
    np.testing.assert_allclose([t.logprob for t in found], [t.logprob for t in expected], atol=1e-6)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_rows_that_come_and_go_say_what_each_says_alone(network, temperature):
    """Each burst has other rows than the one before, in another order; one row sits out a while."""
    expected = [alone(network, row(seed, temperature=temperature)) for seed in range(4)]
    assert len({tuple(token.id for token in tokens) for tokens in expected}) == 4
    rows, found = [row(seed, temperature=temperature) for seed in range(4)], [[] for _ in range(4)]
    steps = steps_of(network, -1)
    for together in ([0], [0, 1], [1, 0], [2, 1, 0], [3, 2], [0, 1, 2, 3], [3, 1], [0, 1, 2, 3]):
        left = [i for i in together if not rows[i].ended]
        for i, tokens in zip(left, Burst(steps, [rows[i] for i in left])(), strict=True):
            found[i] += tokens
    for i, of in enumerate(rows):
        found[i] += alone(network, of)
        same(found[i], expected[i])


def test_greedy_rows_beside_sampled_ones_stay_greedy(network):
    expected = alone(network, row(0, left=BURST)), alone(network, row(1, left=BURST, temperature=2.0))
    found = Burst(steps_of(network, -1), [row(0, left=BURST), row(1, left=BURST, temperature=2.0)])()
    for tokens, other in zip(found, expected, strict=True):
        same(tokens, other)


def test_a_burst_ends_with_the_first_sequence_that_ends(network):
    tokens = [token.id for token in alone(network, row(0))]
    place = next(i for i in range(2, BURST) if tokens.index(tokens[i]) == i)
    rows = [row(0), row(1)]
    first, second = Burst(steps_of(network, tokens[place]), rows)()
    assert [token.id for token in first] == tokens[:place]  # the end itself is not said
    assert rows[0].ended
    assert 0 < len(second) <= place + 1


def test_no_more_tokens_than_asked_for(network):
    assert len(alone(network, row(1, left=BURST + 3))) == BURST + 3
    rows = [row(0, left=2), row(1)]
    assert [len(tokens) for tokens in Burst(steps_of(network, -1), rows)()] == [2, 2]
    assert rows[0].ended
    assert row(1, left=0).ended


def test_a_stopped_burst_raises(network):
    burst = Burst(steps_of(network, -1), [row(0)])
    burst.stop()
    with pytest.raises(EngineError):
        burst()


def test_sequences_that_wait_together_share_runs(network):
    """All of them wait while something else has the slot."""
    device, gate, begun, sizes = Device("cpu", slots=1), threading.Event(), threading.Event(), []
    steps = steps_of(network)
    numbers = range(ROWS + 2)
    expected = [alone(network, row(seed, left=BURST)) for seed in numbers]

    class Counted(Steps):
        def join(self, works):
            sizes.append(len(works))
            return super().join(works)

    def hold() -> None:
        begun.set()
        assert gate.wait(10)

    async def main() -> None:
        kin = Counted(network, network, network, begin=0, end=-1)
        holding = asyncio.create_task(device.run(hold))
        assert await asyncio.to_thread(begun.wait, 10)
        bursts = [Burst(steps, [row(seed, left=BURST)]) for seed in numbers]
        tasks = [asyncio.create_task(device.run(burst, burst.stop, kin=kin)) for burst in bursts]
        await asyncio.sleep(0)
        gate.set()
        for [tokens], other in zip(await asyncio.gather(*tasks), expected, strict=True):
            same(tokens, other)
        await holding

    asyncio.run(main())
    device.close()
    assert sizes == [ROWS, 2]


def test_a_sequence_that_is_in_time_alone_is_not_made_late_by_others(network):
    steps, first, others = steps_of(network), Burst(steps_of(network), [row(0)]), [None] * 20
    cost, network.lane.cost = network.lane.cost, CostModel()
    network.lane.cost.fit([Measured(5, 1 / BURST), Measured(5, 3 / BURST, 3)])  # a second for each row
    assert len(steps.companions(first, others, slack=3.5)) == 2
    assert len(steps.companions(first, others, slack=1.5)) == 0
    assert len(steps.companions(first, others, slack=0.5)) == ROWS - 1  # late anyway
    assert len(steps.companions(first, others[:2], slack=100.0)) == 2
    network.lane.cost = cost


class Memory:
    """A network whose runs take no time: hidden states → keys and values."""

    source, provider = "memory", "numpy"
    inputs, outputs = MEMORY.inputs, MEMORY.outputs

    def prepare(self, feeds, *, large=False):
        heard = feeds["hidden_states"].reshape(1, -1, HEADS, WIDTH).transpose(0, 2, 1, 3)

        class Running:
            def __call__(self):
                return {"frames.0.key": heard, "frames.0.value": -heard}

            def stop(self) -> None: ...

        return Running()

    def close(self) -> None: ...


def test_slots_that_take_each_others_rows_do_not_disturb_them(network):
    """Sequences of all lengths on four slots: every burst has other rows, some of which another slot had."""
    chance = np.random.default_rng(5)
    heard = [chance.normal(0, 1, (1, 3 + i, HIDDEN)).astype(np.float32) for i in range(24)]

    async def tokens(steps: Steps, i: int) -> list:
        bursts = steps.generate(heard[i], max_tokens=20 + 3 * i)
        return [token async for burst in bursts for token in burst]

    async def main() -> None:
        device = Device("cpu", slots=4)
        memory = Network("memory", MEMORY, Memory(), DeviceLane(device, MEMORY))
        step = Network("step", SIGNATURE, network.engine, DeviceLane(device, SIGNATURE))
        steps = Steps(memory, step, step, begin=0, end=-1)
        expected = [await tokens(steps, i) for i in range(len(heard))]
        for _ in range(3):
            found = await asyncio.gather(*(tokens(steps, i) for i in range(len(heard))))
            for own, other in zip(found, expected, strict=True):
                same(own, other)
        device.close()

    asyncio.run(main())
