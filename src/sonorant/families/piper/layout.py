"""How a Piper voice is recognised, and what its .onnx.json says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sonorant.catalogue import ModelCard
from sonorant.errors import LayoutError, ModelFileError
from sonorant.families.layouts import Layout, NetworkFile, SettingsFile
from sonorant.families.local import local_card
from sonorant.families.piper.networks import signature
from sonorant.networks import Signature
from sonorant.tasks import Task, Voice

BEGIN, END, PAD = "^", "$", "_"
"""phonemes at both ends, and between all"""

_QUALITIES = ("x_low", "low", "medium", "high")
"""in which a voice's name ends: en_US-joe-medium"""


@dataclass(frozen=True)
class VoiceConfig:
    """The part of a voice's .onnx.json that speaking needs."""

    name: str
    language: str
    """BCP 47"""
    sample_rate: int
    """hertz"""
    phoneme_type: str
    """"espeak": IPA from espeak-ng; "text": the characters themselves"""
    espeak_voice: str
    ids: dict[str, list[int]]
    """phoneme → ids"""
    symbols: int
    speakers: dict[str, int]
    """speaker → number; empty where the voice has one speaker"""
    noise_scale: float
    length_scale: float
    noise_w: float


def model_file(folder: Path) -> Path | None:
    """The folder's .onnx file that has an .onnx.json beside it."""
    return next((p for p in sorted(folder.glob("*.onnx")) if Path(f"{p}.json").is_file()), None)


def read_config(model: Path) -> VoiceConfig:
    """Raises ModelFileError where a key is missing or wrong."""
    path = Path(f"{model}.json")
    try:
        tree: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(tree, dict):
            raise ValueError("It holds no object with keys")
        inference = tree.get("inference", {})
        ids = {str(k): [int(i) for i in v] for k, v in tree["phoneme_id_map"].items()}
        symbols = int(tree["num_symbols"])
        if missing := {BEGIN, END, PAD} - ids.keys():
            raise ValueError(f"phoneme_id_map has no {' '.join(sorted(missing))}")
        if not all(0 <= i < symbols for sequence in ids.values() for i in sequence):
            raise ValueError(f"phoneme_id_map holds ids beyond num_symbols, {symbols}")
        language = tree.get("language", {}).get("code") or tree["espeak"]["voice"]
        return VoiceConfig(
            name=tree.get("dataset") or model.name.removesuffix(".onnx"),
            language=language.replace("_", "-"),
            sample_rate=int(tree["audio"]["sample_rate"]),
            phoneme_type=tree.get("phoneme_type", "espeak"),
            espeak_voice=tree.get("espeak", {}).get("voice", ""),
            ids=ids,
            symbols=symbols,
            speakers={str(k): int(v) for k, v in (tree.get("speaker_id_map") or {}).items()},
            noise_scale=float(inference.get("noise_scale", 0.667)),
            length_scale=float(inference.get("length_scale", 1.0)),
            noise_w=float(inference.get("noise_w", 0.8)),
        )
    except KeyError as error:
        raise _wrong(path, f"the key {error} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise _wrong(path, str(error)) from error


def _accepted(folder: Path) -> None:
    """Raises LayoutError for a voice without its settings, and as `read_config`."""
    model = model_file(folder)
    if model is not None:
        read_config(model)
        return
    name = f"{next(path.name for path in sorted(folder.glob('*.onnx')))}.json"
    there = sorted(folder.glob("*.json"))
    raise LayoutError(
        f"It looks like a voice of Piper, but lacks {name}, its settings",
        why=f"They are named after the .onnx file; {', '.join(p.name for p in there[:3])} is not"
        if there
        else "The .onnx file was downloaded alone",
        remedy=f"Put {name} beside it, from where the .onnx file came",
    )


LAYOUTS = (
    Layout(
        "rhasspy/piper-voices",
        (("*.onnx",),),
        ("*.onnx.json", *(f"*_[A-Z][A-Z]-*-{quality}.onnx" for quality in _QUALITIES)),
        _accepted,
    ),
)


def voices(config: VoiceConfig) -> tuple[Voice, ...]:
    """A voice for each speaker, or the one that the dataset names."""
    return tuple(Voice(name, config.language) for name in config.speakers) or (
        Voice(config.name, config.language),
    )


def recognise(folder: Path) -> ModelCard | None:
    """A card for a folder that holds NAME.onnx and NAME.onnx.json with Piper's keys."""
    model = model_file(folder)
    if model is None or '"phoneme_id_map"' not in Path(f"{model}.json").read_text(
        encoding="utf-8", errors="replace"
    ):
        return None
    config = read_config(model)
    return local_card(
        folder,
        family="piper",
        task=Task.SPEECH,
        languages=(config.language,),
        voices=voices(config),
        sample_rate=config.sample_rate,
        parts={"normalizer": "wetext"},
    )


def expected(folder: Path) -> Iterator[SettingsFile | NetworkFile]:
    """The voice's settings, and its network."""
    if model := model_file(folder):
        yield SettingsFile(Path(f"{model}.json"), lambda _: read_config(model))
        yield NetworkFile(model, lambda inputs, outputs: _signature(read_config(model)), cut="output")


def _signature(config: VoiceConfig) -> Signature:
    return signature(symbols=config.symbols, speakers=len(config.speakers), rate=config.sample_rate)


def _wrong(path: Path, why: str) -> ModelFileError:
    return ModelFileError(
        f"{path.name} is not the settings of a Piper voice",
        why=why,
        remedy="Fetch NAME.onnx and NAME.onnx.json of the voice again, both from the same place",
    )
