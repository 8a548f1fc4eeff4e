"""Running the end of a network in windows of frames that grow: the first is there soon, the later ones cost
little more than one run would."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from sonorant.networks.cut import Stage
from sonorant.networks.engines.engine import Engine
from sonorant.networks.extract import CROPS
from sonorant.networks.network import Network
from sonorant.networks.signature import BATCH, Array, Axis, Feeds, Signature, Tensor

_ALL = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Part:
    """A stage and the network that runs it."""

    stage: Stage
    network: Network
    most: int
    """frames of its largest window, context apart"""

    async def run(self, tensors: Feeds, first: int, last: int, frames: int) -> Array:
        """The output of the frames [first, last) of `frames`; `tensors` reach as far as it looks."""
        stage = self.stage
        low, high = max(0, first - stage.context[0]), min(frames, last + stage.context[1])
        feeds = {
            tensor.name: _along(tensors[tensor.name], tensor.axis, low * tensor.steps, high * tensor.steps)
            if tensor.steps
            else tensors[tensor.name]
            for tensor in stage.inputs
        }
        left = []
        for before, after in stage.crops:
            start, end = max(0, first - before), min(frames, last + after)
            left.append((start - low, end - low))
            low = start
        if left:
            feeds[CROPS] = np.array(left, np.int64)
        output = (await self.network.run(**feeds))[stage.output]
        return _along(output, stage.axis, (first - low) * stage.steps, (last - low) * stage.steps)


class Windowed:
    """The stages of a network behind its front."""

    def __init__(self, parts: Sequence[Part], first: int) -> None:
        """One part, or two, the second on what the first gives; `first`: frames of the first window."""
        self.parts, self._first = parts, first

    async def run(self, tensors: Feeds) -> AsyncGenerator[tuple[Array, bool], None]:
        """The network's output in pieces along its time axis, from the tensors that the front gives.

        With each: whether it is the last.
        """
        start, last = self.parts[0], self.parts[-1]
        timed = next(tensor for tensor in start.stage.inputs if tensor.steps)
        frames = tensors[timed.name].shape[timed.axis] // timed.steps
        ready = frames if start is last else 0
        whole = dict(tensors)
        for first, end in spans(frames, self._first, last.most):
            while ready < (wanted := min(frames, end + last.stage.context[1])):
                upto = _upto(ready, wanted, frames, start.most)
                made = await start.run(tensors, ready, upto, frames)
                if ready == 0:
                    shape = list(made.shape)
                    shape[start.stage.axis] = frames * start.stage.steps
                    whole[start.stage.output] = np.empty(shape, made.dtype)
                place = [slice(None)] * made.ndim
                place[start.stage.axis] = slice(ready * start.stage.steps, upto * start.stage.steps)
                whole[start.stage.output][tuple(place)] = made
                ready = upto
            yield await last.run(whole, first, end, frames), end == frames


def spans(frames: int, first: int, most: int) -> Iterator[tuple[int, int]]:
    """[start, end) of windows that grow threefold from `first` to `most` frames; the last is not a small one.

    Twofold costs a short sentence a window more.
    """
    at, size = 0, first
    while at < frames:
        end = frames if frames - at <= size + size // 2 else at + size
        yield at, end
        at, size = end, min(3 * size, max(most, first))


def _upto(ready: int, wanted: int, frames: int, most: int) -> int:
    """Where the next window of the first stage ends: at first where it is wanted, later as far as it may."""
    if ready == 0:
        return min(most, wanted)
    return frames if frames - ready <= most + most // 2 else ready + most


def signature(stage: Stage, engine: Engine, typical: int, time: Axis | None = None) -> Signature:
    """Of a stage's model; `typical`: frames; `time`: the axis of its output, where that is the network's."""
    given = {tensor.name: tensor for tensor in stage.inputs}
    inputs = []
    for tensor in engine.inputs:
        if tensor.name == CROPS:
            inputs.append(
                Tensor(
                    CROPS,
                    "int64",
                    (len(stage.crops), 2),
                    low=0,
                    high=_ALL,
                    typical=(0, _ALL),
                    about="frames that stay",
                )
            )
            continue
        dims = list(tensor.dims)
        if steps := given[tensor.name].steps:
            name = "frames" if steps == 1 else f"frames × {steps}"
            dims[given[tensor.name].axis] = Axis(name, "frame", min=steps, typical=typical * steps)
        inputs.append(_rows(replace(tensor, dims=tuple(dims))))
    outputs = list(engine.outputs)
    if time is not None:
        dims = list(outputs[0].dims)
        dims[stage.axis] = replace(time, typical=typical * stage.steps, length=None)
        outputs[0] = replace(outputs[0], dims=tuple(dims))
    return Signature(tuple(inputs), tuple(map(_rows, outputs)), alike=True)


def _rows(tensor: Tensor) -> Tensor:
    """The same tensor, its first dimension that of a batch where the model leaves it open."""
    if tensor.dims and isinstance(tensor.dims[0], Axis):
        return replace(tensor, dims=(BATCH, *tensor.dims[1:]))
    return tensor


def _along(tensor: Array, axis: int, start: int, end: int) -> Array:
    """[start, end) along an axis."""
    place = [slice(None)] * tensor.ndim
    place[axis] = slice(start, end)
    return np.ascontiguousarray(tensor[tuple(place)])
