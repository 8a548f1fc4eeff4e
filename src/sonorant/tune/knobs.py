"""The knobs of a model on this machine, in the order in which most is expected of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sonorant.settings import NetworkSettings, Settings
from sonorant.tune.look import Choices, Look
from sonorant.tune.space import Knob, Option, Path, Space, Value

WORTH = 0.04
"""share of the time, below which a network is not worth a knob of its own"""
FAR = 0.5
"""times the speed of the fastest, by their proofs, below which an artefact is tried last"""
WINDOWS = (0.0, 5.0, 30.0)
"""milliseconds for which work that can be batched gathers"""
ROWS = (1, 1_500, 4_000, 12_000)
"""frames of the largest batch; 1: nothing is batched"""

STREAMS: Path = ("lanes", "streams")
FRAMES: Path = ("lanes", "max_frames")
WINDOW: Path = ("lanes", "window_ms")
THREADS: Path = ("onnxruntime", "intra_op_num_threads")


def space(look: Look, settings: Settings, cores: int) -> Space:
    """What can be chosen for a model: what computes each of its networks, on how many threads, how many
    pieces of work at a time, and how work is batched."""
    main = [one for one in look.choices if one.share >= WORTH]
    likely, unlikely = _computing(main, settings)
    knobs = [
        *likely,
        _threads_and_streams(look, main, cores),
        *_threads(main, cores),
        Knob("streams", tuple(_option({STREAMS: _streams(n, look)}) for n in _powers(2 * cores))),
    ]
    if look.batched:
        knobs.append(Knob("batch", tuple(_option({FRAMES: n}) for n in ROWS)))
        knobs.append(Knob("window", tuple(_option({WINDOW: ms}) for ms in WINDOWS)))
    knobs += unlikely
    paths = {path for knob in knobs for option in knob.options for path, _ in option.settings}
    base = {path: _in_force(path, settings) for path in paths}
    return Space(tuple(knob for knob in knobs if _turns(knob, base)), base)


def _computing(choices: Iterable[Choices], settings: Settings) -> tuple[list[Knob], list[Knob]]:
    """What computes a network: its own file and each proven artefact, the fastest by their proofs first.

    And what is not likely to be the best, to be tried when all else has been: what its proof says is far
    slower than another, and torch, whose speed nobody has measured.
    """
    likely, unlikely = [], []
    for one in choices:
        most = max(one.artefacts.values())
        near = [recipe for recipe, times in one.artefacts.items() if times >= FAR * most]
        options = [_computed(one, recipe, settings) for recipe in near]
        rest = [_computed(one, recipe, settings) for recipe in one.artefacts if recipe not in near]
        if one.torch:
            rest.append(_option(_of_networks(one, {"artefact": "", "engine": "torch"})))
        likely.append(Knob(f"{_name(one)}: engine and artefact", tuple(options)))
        unlikely.append(Knob(f"{_name(one)}: slower engines and artefacts", tuple(rest)))
    return likely, unlikely


def _computed(one: Choices, recipe: str, settings: Settings) -> Option:
    """An artefact by its name; where nothing is set, and it is in use, that is how it is named."""
    paths = _of_networks(one, {"artefact": "", "engine": ""})
    is_open = not any(_in_force(path, settings) for path in paths)
    named = "" if is_open and recipe == one.in_use else recipe
    return _option(_of_networks(one, {"artefact": named, "engine": ""}))


def _threads_and_streams(look: Look, choices: Iterable[Choices], cores: int) -> Knob:
    """Together: more of the one leaves fewer cores for the other."""
    threaded = [one for one in choices if one.threads and not one.loop]
    options = []
    for threads, streams in _shapes(cores):
        chosen: dict[Path, Value] = {STREAMS: _streams(streams, look)}
        if look.choices:
            for one in threaded:
                chosen |= _of_networks(one, {"threads": _differing(threads, one)})
        else:  # a library that has its own engine takes what ONNX Runtime is given
            chosen[THREADS] = threads
        options.append(_option(chosen))
    return Knob("threads and streams", tuple(options))


def _threads(choices: Iterable[Choices], cores: int) -> Iterator[Knob]:
    for one in choices:
        if one.threads:
            options = (_of_networks(one, {"threads": _differing(n, one)}) for n in _powers(cores))
            yield Knob(f"{_name(one)}: threads", tuple(_option(option) for option in options))


def _shapes(cores: int) -> Iterator[tuple[int, int]]:
    """Threads of a run and runs at a time: as many as there are cores, then more and fewer."""
    for threads in _powers(cores):
        yield threads, max(1, cores // threads)
    yield 1, 2 * cores
    if cores > 1:
        yield 1, max(1, cores // 2)


def _powers(most: int) -> list[int]:
    """1, 2, 4 … and `most` itself."""
    return sorted({1 << i for i in range(most.bit_length())} | {most})


def _streams(wanted: int, look: Look) -> int:
    """0 where that many it is by itself, so that the settings say no more than they must."""
    return 0 if wanted == look.slots else wanted


def _differing(threads: int, one: Choices) -> int:
    return 0 if threads == one.threads else threads


def _of_networks(one: Choices, chosen: Mapping[str, Value]) -> dict[Path, Value]:
    return {
        ("networks", one.model, network, name): value
        for network in one.networks
        for name, value in chosen.items()
    }


def _name(one: Choices) -> str:
    more = len(one.networks) - 1
    return f"{one.networks[0]} +{more}" if more else one.networks[0]


def _option(chosen: Mapping[Path, Value]) -> Option:
    return Option(tuple(sorted(chosen.items())))


def _turns(knob: Knob, base: Mapping[Path, Value]) -> bool:
    return any(base[path] != value for option in knob.options for path, value in option.settings)


def _in_force(path: Path, settings: Settings) -> Value:
    """What a setting is now; 0 where it is left to the machine."""
    if path[0] == "networks":
        _, model, network, name = path
        own = settings.networks.get(model, {}).get(network, NetworkSettings())
        found: Any = getattr(own, name)
    elif path == THREADS:
        found = settings.onnxruntime.get(path[1], 0)
    else:
        found = getattr(getattr(settings, path[0]), path[1])
    return found  # type: ignore[no-any-return]
