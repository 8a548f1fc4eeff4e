"""What the gate finds in planted faults, in changes that nobody hears, and in a voice beside itself.

    pip install 'sonorant[quality,espeak]'
    python benchmarks/quality.py [--sentences 12] [--judges] [--only NAME …] [--json]

Two voices say the same sentences: hibari, which says a text the same each time, so that signals are laid
sample over sample, and Piper's joe, which draws noise, so that they are not. Each fault and each honest
change of planted.py is made in every answer of the candidate. `--judges` has them heard as well: Moonshine
base (WER), DNSMOS and DistillMOS, CAM++. Then recognisers, a detector and an embedder hear recordings of
people as they are and with the honest changes. The thresholds of sonorant/prepare/thresholds.toml are laid
between both groups.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import machine
import sonorant
from planted import FAULTS, HONEST, Change
from sonorant.prepare.gate import judge, thresholds
from sonorant.prepare.quality import Figures, detection, speakers, speech, transcription
from sonorant.prepare.quality.judges import Judges, judges
from sonorant.prepare.quality.recordings import Recording, recorded
from sonorant.prepare.quality.sentences import lines
from sonorant.tasks import AudioChunk

ITSELF = "itself"
HEARD = ("noise of 1e-4", "16 bits with dither", "resampled there and back", "0.2 dB quieter")
"""what recordings are changed by, for the other tasks"""

Result = dict[str, Any]


def changed(chunk: AudioChunk, change: Change) -> AudioChunk:
    return AudioChunk(np.asarray(change(chunk.samples, chunk.sample_rate), np.float32), chunk.sample_rate)


def said(model: sonorant.Model, texts: Sequence[str]) -> list[AudioChunk]:
    return [model.say(text, seed=0).result() for text in texts]


def remembered(panel: Judges) -> Judges:
    """What was judged once is not judged again."""

    def once(ask: Callable[[AudioChunk], Any]) -> Callable[[AudioChunk], Any]:
        known: dict[bytes, Any] = {}

        def asked(chunk: AudioChunk) -> Any:
            key = chunk.samples.tobytes()
            if key not in known:
                known[key] = ask(chunk)
            return known[key]

        return asked

    panel.hear = once(panel.hear) if panel.hear else None
    panel.embed = once(panel.embed) if panel.embed else None
    panel.scorers = {name: once(score) for name, score in panel.scorers.items()}
    return panel


def speaking(count: int, panel: Judges, only: Sequence[str]) -> Iterator[Result]:
    texts = lines("english")[:count]
    for name, varies in (("hibari", False), ("piper-joe", True)):
        model = sonorant.load(name)
        reference = said(model, texts)
        again = said(model, texts) if varies else None
        candidate = said(model, texts)
        model.close()
        changes = {ITSELF: lambda samples, rate: samples, **HONEST, **FAULTS}
        for label, change in changes.items():
            if only and label not in only:
                continue
            prepared = [changed(chunk, change) for chunk in candidate]
            figures = speech.compare(reference, prepared, texts=texts, again=again, panel=panel)
            yield result(name, label, figures)


def hearing() -> Iterator[Result]:
    recordings = recorded()
    english = [one for one in recordings if one.language == "en"]
    recogniser, detector, embedder = (
        sonorant.load(name) for name in ("moonshine-base", "silero-vad", "campplus")
    )
    asked: list[tuple[str, list[Recording], Callable[[list[Recording]], Any]]] = [
        ("moonshine-base", english, lambda found: [recogniser.transcribe(r.audio).text for r in found]),
        ("silero-vad", recordings, lambda found: [detector.detect(r.audio).result() for r in found]),
        ("campplus", recordings, lambda found: [embedder.embed(r.audio).result() for r in found]),
    ]
    for name, data, answers in asked:
        reference = answers(data)
        for label in HEARD:
            other = [Recording(changed(r.audio, HONEST[label]), r.language, r.text) for r in data]
            candidate = answers(other)
            if name == "silero-vad":
                figures = detection.compare(reference, candidate, [r.audio.seconds for r in data])
            elif name == "campplus":
                figures = speakers.compare(reference, candidate, range(len(data)))
            else:
                figures = transcription.compare(reference, candidate, data)
            yield result(name, label, figures)


def result(model: str, change: str, figures: Figures) -> Result:
    verdict = judge(figures, thresholds())
    return {
        "model": model,
        "change": change,
        "kind": "fault" if change in FAULTS else "honest",
        "failed": [found.figure for found in verdict.failed],
        "figures": figures.to_dict(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The gate against planted faults and honest changes.")
    parser.add_argument("--sentences", type=int, default=12)
    parser.add_argument("--judges", action="store_true", help="WER, MOS and speakers as well: minutes")
    parser.add_argument("--only", nargs="+", default=[], help="changes by name")
    parser.add_argument("--skip-hearing", action="store_true", help="voices alone")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    facts = machine.describe("sonorant", "onnxruntime", "numpy")
    panel = remembered(judges("en")) if options.judges else Judges()
    results = []
    for found in speaking(options.sentences, panel, options.only):
        results.append(found)
        tell(found, quiet=options.json)
    if not options.skip_hearing:
        for found in hearing():
            results.append(found)
            tell(found, quiet=options.json)
    faults = [found for found in results if found["kind"] == "fault"]
    honest = [found for found in results if found["kind"] == "honest"]
    caught = sum(bool(found["failed"]) for found in faults)
    passed = sum(not found["failed"] for found in honest)
    if options.json:
        print(json.dumps({**facts, "caught": caught, "passed": passed, "results": results}, indent=2))
        return
    print(f"\n{caught} of {len(faults)} faults caught, {passed} of {len(honest)} honest changes passed")
    print("; ".join(f"{name} {value}" for name, value in facts.items()))


def tell(found: Result, *, quiet: bool) -> None:
    if quiet:
        return
    values = found["figures"]["values"]
    shown = " ".join(f"{name} {entry['value']:.3g}" for name, entry in values.items() if entry["value"])
    verdict = f"fails by {', '.join(found['failed'])}" if found["failed"] else "passes"
    print(f"{found['model']}, {found['change']}: {verdict}\n    {shown}", flush=True)


if __name__ == "__main__":
    main()
