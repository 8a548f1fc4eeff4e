"""A decoder's steps for several sequences at a time: each is a row, however far it has come.

Each row has slots for its past, of which its next token takes the one at its position; what lies behind is
left out. So sequences need not begin together, and one that ends makes room at once. There are always whole
GRAINs of slots: sums over them are taken in the same order whatever is beside a row, and come out the same.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, cast

import numpy as np
import onnxruntime as ort

from sonorant.networks.engines.onnxruntime import OnnxRuntime, failure
from sonorant.networks.network import Network
from sonorant.networks.sampling import Sampling, Token
from sonorant.networks.signature import BATCH, Array, Axis, Signature, Tensor

BURST = 16
"""tokens per visit to the device: a hop between threads costs about 0.1 ms, a small step 2"""
ROWS = 8
"""sequences of one visit, at most"""
POSITIONS = 512
"""tokens of a sequence, at most"""

GRAIN = 64
"""slots or frames, by which rows are padded: no shorter rest is left for kernels to sum in another order"""

_SLOTS = Axis("slots", unit="token", typical=GRAIN)
_GROWN = Axis("grown", unit="token", length=lambda sizes: sizes["slots"])
_FRAMES = Axis("frames", unit="encoder frame", typical=123)
_KEPT = Axis("kept", unit="encoder frame", length=lambda sizes: sizes["frames"])


def memory_signature(*, layers: int, heads: int, width: int, hidden: int) -> Signature:
    """The encoder's hidden states → what every step attends to."""
    return Signature(
        inputs=(Tensor("hidden_states", "float32", (BATCH, _FRAMES, hidden)),),
        outputs=tuple(_caches("frames", layers, (BATCH, heads, _KEPT, width))),
    )


def steps_signature(*, layers: int, heads: int, width: int, vocabulary: int) -> Signature:
    """One token further. The mask is 1 where something is heard and 0 where padding is.

    `next` is the most probable token and `logprob` its probability's natural logarithm; the other outputs
    but `logits` are inputs of the next step.
    """

    return Signature(
        inputs=(
            Tensor("token", "int64", (BATCH,), low=0, high=vocabulary - 1),
            Tensor("position", "int64", (BATCH,), low=0, high=POSITIONS - 1),
            Tensor("frames_mask", "float32", (BATCH, _FRAMES), typical=(1,)),
            *_caches("past", layers, (BATCH, heads, _SLOTS, width)),
            *_caches("frames", layers, (BATCH, heads, _FRAMES, width)),
        ),
        outputs=(
            Tensor("next", "int64", (BATCH,)),
            Tensor("logprob", "float32", (BATCH,)),
            Tensor("logits", "float32", (BATCH, vocabulary)),
            Tensor("next_position", "int64", (BATCH,)),
            *_caches("grown", layers, (BATCH, heads, _GROWN, width)),
        ),
    )


def _caches(prefix: str, layers: int, dims: tuple[int | Axis, ...]) -> list[Tensor]:
    names = (f"{prefix}.{i}.{kv}" for i in range(layers) for kv in ("key", "value"))
    return [Tensor(name, "float32", dims) for name in names]


_FED_BACK = {"next": "token", "next_position": "position"}


class Row:
    """One sequence: what its decoder remembers, and how its tokens are chosen."""

    def __init__(self, begin: int, frames: Mapping[str, Array], sampling: Sampling, left: int) -> None:
        """begin: the token before the first; frames: [heads, n, width] by name; left: tokens to come."""
        self.token, self.sampling, self.left = begin, sampling, min(left, POSITIONS)
        self.frames = dict(frames)
        self.past = {name.replace("frames.", "past."): value[:, :0] for name, value in frames.items()}
        self.heard: int = next(iter(self.frames.values())).shape[1]
        """frames"""
        self.position, self.ended = 0, left <= 0
        self.stack: _Stack | None = None
        """where its past is, once that has grown"""


class Steps:
    """Tokens of several sequences, which share runs where they wait together. A `Kin`.

    `together` and `alone` take the same step: one for any number of rows, the other for one row only, sooner.
    """

    def __init__(self, memory: Network, together: Network, alone: Network, *, begin: int, end: int) -> None:
        self._memory, self._together, self._alone = memory, together, alone
        self._begin, self.end = begin, end
        self.taking_apart = Lock()
        """held while rows are taken out of a stack, some of which another slot may be about to take out"""

    async def generate(
        self,
        hidden: Array,
        mask: Array | None = None,
        *,
        max_tokens: int,
        temperature: float = 0.0,
        seed: int = 0,
    ) -> AsyncGenerator[list[Token], None]:
        """hidden: float32 [1, frames, hidden], all of them real → bursts of tokens, until the end.

        A burst is shorter where another sequence ends. max_tokens: POSITIONS at most. temperature 0 takes
        the most probable token. Raises EngineError.
        """
        row = self.row(await self._memory.run(hidden_states=hidden), Sampling(temperature, seed), max_tokens)
        lane = self._alone.lane
        while not row.ended:
            burst = Burst(self, [row])
            cost = min(BURST, row.left) * lane.cost.predict(row.heard)
            [tokens] = await lane.call(burst, burst.stop, cost=cost, kin=self)
            yield tokens

    def begun(self, hidden: Array) -> Row:
        """A greedy sequence at its beginning, as long as can be. Blocks; raises EngineError."""
        memory = self._memory.engine.prepare({"hidden_states": hidden})()
        return self.row(memory, Sampling(), POSITIONS)

    def endless(self) -> Steps:
        """The same, whose sequences have no end."""
        return Steps(self._memory, self._together, self._alone, begin=self._begin, end=-1)

    def row(self, memory: Mapping[str, Array], sampling: Sampling, left: int) -> Row:
        """A sequence at its beginning. memory: the outputs of that network, one row."""
        return Row(self._begin, {name: value[0] for name, value in memory.items()}, sampling, left)

    def network(self, rows: int) -> Network:
        """What takes a step of so many."""
        return self._alone if rows == 1 else self._together

    def companions(self, first: Burst, others: Sequence[Burst], slack: float) -> range:
        """As many as there may be, without making late what would be in time alone."""

        def seconds(rows: int) -> float:
            return BURST * self.network(rows).lane.cost.predict(first.frames, rows)

        most = min(len(others), ROWS - 1)
        if seconds(1) <= slack:
            most = next((n for n in range(most) if seconds(n + 2) > slack), most)
        return range(most)

    def join(self, works: Sequence[Burst]) -> _Apart:
        return _Apart(Burst(self, [row for burst in works for row in burst.rows]))


class Burst:
    """Steps of some rows until the first of them ends, `most` at most."""

    def __init__(self, steps: Steps, rows: Sequence[Row], most: int = BURST) -> None:
        self._most = most
        self.rows, self._end, self._taking_apart = list(rows), steps.end, steps.taking_apart
        self._network = steps.network(len(rows))
        self._engine = cast(OnnxRuntime, self._network.engine)
        self._options = self._engine.step_options()

    @property
    def frames(self) -> int:
        """that its longest row attends to"""
        return max(row.heard for row in self.rows)

    def stop(self) -> None:
        self._options.terminate = True

    def __call__(self) -> list[list[Token]]:
        """The tokens of each row. Blocks; raises EngineError."""
        stack = self.rows[0].stack
        if stack is None or set(stack.rows) != set(self.rows) or not stack.room():
            with self._taking_apart:
                for row in self.rows:
                    if row.stack is not None:
                        row.stack.take_apart()
            stack = _Stack(self.rows)
        rows = stack.rows
        sampled = any(row.sampling.temperature for row in rows)
        wanted = [t.name for t in self._network.signature.outputs if sampled or t.name != "logits"]
        tokens: dict[Row, list[Token]] = {row: [] for row in rows}
        for _ in range(min(self._most, *(row.left for row in rows))):
            began = time.perf_counter()
            try:
                values = self._engine.session.run_with_ort_values(wanted, stack.values, self._options)
            except Exception as error:
                raise failure(error) from error
            outputs = dict(zip(wanted, values, strict=True))
            chosen = _chosen(rows, outputs)
            stack.grow(outputs, [token.id for token in chosen] if sampled else None)
            self._network.lane.cost.observe(stack.frames, len(rows), time.perf_counter() - began)
            for row, token in zip(rows, chosen, strict=True):
                row.token, row.position, row.left = token.id, row.position + 1, row.left - 1
                row.ended = token.id == self._end or row.left == 0
                if token.id != self._end:
                    tokens[row].append(token)
            if any(row.ended for row in rows):
                break
        for row in rows:
            if row.ended:
                row.stack = None  # a cycle: its tensors would stay until Python looks for such
        return [tokens[row] for row in self.rows]


def _chosen(rows: Sequence[Row], outputs: Mapping[str, Any]) -> list[Token]:
    ids, logprobs = outputs["next"].numpy().tolist(), outputs["logprob"].numpy().tolist()
    best = [Token(*token) for token in zip(ids, logprobs, strict=True)]
    if "logits" not in outputs:
        return best
    logits = outputs["logits"].numpy()
    return [
        row.sampling.choose(logits[i]) if row.sampling.temperature else best[i] for i, row in enumerate(rows)
    ]


@dataclass(frozen=True, slots=True)
class _Apart:
    """A burst of several rows, whose results are those of bursts of one row each."""

    burst: Burst
    padding: float = 0.0

    def __call__(self) -> list[list[list[Token]]]:
        return [[tokens] for tokens in self.burst()]

    def stop(self) -> None:
        self.burst.stop()


class _Stack:
    """Rows side by side, as the network is fed."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self.frames = _whole(max(row.heard for row in rows))
        self._slots = _whole(max(row.position for row in rows) + BURST)
        heard = np.array([[row.heard] for row in rows])
        feeds = {
            "token": np.array([row.token for row in rows]),
            "position": np.array([row.position for row in rows]),
            "frames_mask": (np.arange(self.frames) < heard).astype(np.float32),
            **{name: _stacked([row.past[name] for row in rows], self._slots) for name in rows[0].past},
            **{name: _stacked([row.frames[name] for row in rows], self.frames) for name in rows[0].frames},
        }
        self.values = {name: ort.OrtValue.ortvalue_from_numpy(value) for name, value in feeds.items()}
        for row in rows:
            row.stack = self

    def room(self) -> bool:
        """Whether a burst's tokens have slots."""
        return max(row.position for row in self.rows) + BURST <= self._slots

    def grow(self, outputs: Mapping[str, Any], tokens: list[int] | None) -> None:
        """One step further. tokens: in place of the most probable ones."""
        for name, value in outputs.items():
            fed = _FED_BACK.get(name) or name.replace("grown.", "past.")
            if fed in self.values:
                self.values[fed] = value
        if tokens is not None:
            self.values["token"] = ort.OrtValue.ortvalue_from_numpy(np.array(tokens))

    def take_apart(self) -> None:
        """Give every row its past, without what pads the row."""
        for name in self.rows[0].past:
            for row, value in zip(self.rows, self.values[name].numpy(), strict=True):
                row.past[name] = value[:, : row.position]
        for row in self.rows:
            row.stack = None


def _whole(length: int) -> int:
    """So much in whole GRAINs."""
    return -(-length // GRAIN) * GRAIN


def _stacked(values: Sequence[Array], length: int) -> Array:
    """[heads, n, width] each → [row, heads, length, width], zeros behind."""
    heads, _, width = values[0].shape
    found = np.zeros((len(values), heads, length, width), np.float32)
    for i, value in enumerate(values):
        found[i, :, : value.shape[1]] = value
    return found
