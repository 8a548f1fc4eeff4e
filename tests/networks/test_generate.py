"""Token generation on Moonshine's decoder, against a plain loop over the same session."""

import asyncio
import threading
from contextlib import aclosing

import numpy as np
import pytest

from sonorant.catalogue import Catalogue
from sonorant.errors import EngineError
from sonorant.families import moonshine
from sonorant.families.moonshine.tokenizer import BEGIN, END
from sonorant.networks import generate
from sonorant.networks.generate import BURST, Decoder, Token, decoder_signature
from sonorant.networks.network import Network
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.replica.lane import DeviceLane
from sonorant.settings import load_settings

LONG = 40


class CountingLane(DeviceLane):
    """Counts the visits to the device."""

    visits = 0

    async def call(self, work, stop=None):
        self.visits += 1
        return await super().call(work, stop)


@pytest.fixture(scope="module")
def moonshine_tiny():
    """(decoder, its lane, its session, hidden states and mask of three seconds of noise)"""
    catalogue = Catalogue(load_settings().catalogue)
    card = catalogue.find("moonshine-tiny")
    device = Device("cpu")
    host = ReplicaHost(card, catalogue, device, {"intra_op_num_threads": 1})
    files = moonshine.layout.find(catalogue.ensure(card))
    engine = host.session("decoder", files.decoder)
    lane = CountingLane(device)
    signature = decoder_signature(layers=6, heads=8, width=36, hidden=288, vocabulary=32768, masked=True)
    decoder = Decoder(Network("decoder", signature, engine, lane), begin=BEGIN, end=END)
    mask = np.ones((1, 48_000), np.int64)
    noise = np.random.default_rng(1).normal(0, 0.05, mask.shape).astype(np.float32).clip(-1, 1)
    encoder = host.engine("encoder", files.encoder)
    hidden = encoder.prepare({"input_values": noise, "attention_mask": mask})()["last_hidden_state"]
    yield decoder, lane, engine.session, hidden, mask
    device.close()


def generated(decoder, hidden, mask, **options) -> list[Token]:
    async def main():
        return [token async for burst in decoder.generate(hidden, mask, **options) for token in burst]

    return asyncio.run(main())


def plain(session, hidden, mask, steps, banned=()) -> list[tuple[int, float]]:
    """The textbook loop: every output fetched, every cache fed back, nothing clever."""
    names = [node.name for node in session.get_outputs()]
    feeds = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask,
             "input_ids": np.array([[BEGIN]]), "use_cache_branch": np.array([False])}  # fmt: skip
    for node in session.get_inputs():
        if node.name.startswith("past"):
            feeds[node.name] = np.zeros((1, 8, 0, 36), np.float32)
    found = []
    for step in range(steps):
        outputs = dict(zip(names, session.run(names, feeds), strict=True))
        logits = outputs["logits"][0, -1].astype(np.float64)
        choice = int(logits.argmax())
        if choice == END:
            break
        found.append((choice, logits[choice] - np.logaddexp.reduce(logits)))
        for name in names[1:]:
            if step == 0 or ".encoder." not in name:
                feeds[name.replace("present.", "past_key_values.")] = outputs[name]
        feeds |= {"input_ids": np.array([[choice]]), "use_cache_branch": np.array([True])}
    return found


def test_greedy_tokens_are_those_of_a_plain_loop(moonshine_tiny):
    decoder, _, session, hidden, mask = moonshine_tiny
    tokens = generated(decoder, hidden, mask, max_tokens=LONG)
    expected = plain(session, hidden, mask, LONG)
    assert [token.id for token in tokens] == [choice for choice, _ in expected]
    np.testing.assert_allclose([t.logprob for t in tokens], [p for _, p in expected], atol=1e-3)
    assert tokens, "the test needs some tokens to compare"


def test_the_same_seed_gives_the_same_tokens(moonshine_tiny):
    decoder, _, _, hidden, mask = moonshine_tiny
    first, again, other = (
        generated(decoder, hidden, mask, max_tokens=20, temperature=1.0, seed=seed) for seed in (7, 7, 8)
    )
    assert first == again
    assert first != other
    assert all(token.logprob <= 0 for token in first)


@pytest.mark.parametrize("limit", [0, 1, BURST, BURST + 1, 30])
def test_max_tokens_bounds_what_never_ends(moonshine_tiny, limit):
    decoder, lane, _, hidden, mask = moonshine_tiny
    endless = Decoder(decoder._network, begin=BEGIN, end=-1)
    visits = lane.visits
    assert len(generated(endless, hidden, mask, max_tokens=limit)) == limit
    assert lane.visits - visits == -(-limit // BURST)


def test_leaving_early_stops_the_computation(moonshine_tiny):
    decoder, lane, _, hidden, mask = moonshine_tiny
    endless = Decoder(decoder._network, begin=BEGIN, end=-1)

    async def main():
        visits = lane.visits
        async with aclosing(endless.generate(hidden, mask, max_tokens=10_000)) as bursts:
            await anext(bursts)
        await asyncio.sleep(0.2)
        assert lane.visits == visits + 1

    asyncio.run(main())


def test_cancelling_ends_a_burst_that_runs(moonshine_tiny, monkeypatch):
    """The burst here would go on for many minutes; stopped, it raises inside its slot."""
    decoder, _, _, hidden, mask = moonshine_tiny
    monkeypatch.setattr(generate, "BURST", 100_000)
    begun, ended = threading.Event(), []

    class Watched(DeviceLane):
        async def call(self, work, stop=None):
            def watched():
                begun.set()
                with pytest.raises(EngineError) as error:
                    work()
                ended.append(str(error.value))

            return await super().call(watched, stop)

    async def main():
        device = Device("cpu", slots=1)
        network = decoder._network
        lane = Watched(device)
        endless = Decoder(Network("d", network.signature, network.engine, lane), begin=BEGIN, end=-1)
        task = asyncio.create_task(anext(endless.generate(hidden, mask, max_tokens=100_000)))
        assert await asyncio.to_thread(begun.wait, 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await asyncio.to_thread(device.close)  # waits for the slot
        assert len(ended) == 1
        assert "terminate" in ended[0]

    asyncio.run(main())
