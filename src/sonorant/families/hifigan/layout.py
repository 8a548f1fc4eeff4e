"""Which files a HiFi-GAN folder holds, in each of the layouts that it is published in."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sonorant.catalogue import ModelCard
from sonorant.errors import LayoutError
from sonorant.families.hifigan import config as configs
from sonorant.families.hifigan.shapes import UNDER, wanted
from sonorant.families.layouts import CHECKPOINT, Layout, SettingsFile, WeightsFile
from sonorant.families.local import local_card
from sonorant.tasks import Task


def _accepted(folder: Path) -> None:
    """Raises what keeps the config, or several generators, from being taken."""
    configs.read(next(folder / name for name in configs.FILES if (folder / name).is_file()))
    find(folder)


LAYOUTS = (
    Layout(
        "jik876/hifi-gan",
        (configs.FILES, ("g_*", "generator*")),
        ("g_0*", "generator_*", "generator.*"),
        _accepted,
    ),
)


def find(folder: Path) -> tuple[Path, Path] | None:
    """The config and the checkpoint; None where it is no such folder. Raises LayoutError for several."""
    config = next((folder / name for name in configs.FILES if configs.is_one(folder / name)), None)
    if config is None:
        return None
    # training writes g_00000000, g_00005000 …; what is published is called generator…
    trained = sorted(path for path in folder.glob("g_*") if path.is_file())
    published = sorted(path for path in folder.glob("generator*") if path.is_file())
    if trained:
        return config, trained[-1]
    if len(published) > 1:
        raise LayoutError(
            f"{folder} holds several generators",
            why=f"They are {', '.join(path.name for path in published)}",
            remedy="Keep each in a folder of its own, with its config.json",
        )
    return (config, published[0]) if published else None


def recognise(folder: Path) -> ModelCard | None:
    """A card for an official folder: config.json beside g_02500000, generator_v1, generator_….pth.tar …"""
    found = find(folder)
    if found is None:
        return None
    return local_card(
        folder,
        family="hifigan",
        task=Task.VOCODING,
        languages=("*",),
        sample_rate=configs.read(found[0]).sampling_rate,
    )


def expected(folder: Path) -> Iterator[SettingsFile | WeightsFile]:
    """The config, and the checkpoint that is to fit it."""
    if found := find(folder):
        yield SettingsFile(found[0], configs.read)
        yield WeightsFile(found[1], CHECKPOINT, partial(wanted, configs.read(found[0])), UNDER)
