"""Real speech for recording what networks are fed: sentences to speak, and recordings to listen to.

They are others than those that quality is measured with: what ranges were calibrated on proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sonorant.networks.signature import Array
from sonorant.prepare.quality.recordings import VOICES

RATE = 16_000
"""hertz"""
PEOPLE_SECONDS = 8.0
"""of each recording of people"""
_SENTENCES = {
    "en": (
        "Yes.",
        "The train to Edinburgh leaves at nine fifteen from platform four.",
        "She had not expected the letter, and when it came she left it unopened on the table until evening.",
        "How much is it?",
        "Numbers such as three hundred and sixty five, or one half, are read aloud as people would say them.",
        "Quietly the fog lifted from the harbour, and the first boats went out to where the herring were.",
    ),
    "zh": (
        "好的。",
        "请问去火车站怎么走？",
        "今天下午三点在二楼会议室开会，请大家准时参加，不要迟到。",
        "他放下手里的书，走到窗前，看见雨已经停了，远处的山又清晰起来。",
    ),
}
_ANY = ("1, 2, 3.", "1234567890", "20, 30, 40, 50, 60, 70, 80, 90, 100.")


def sentences(language: str) -> Sequence[str]:
    """Short and long ones; numbers in a language that there are no sentences in."""
    return _SENTENCES.get(language.split("-")[0].lower(), _ANY)


def recordings(languages: Sequence[str], files: Sequence[Path] = (), rate: int = RATE) -> Iterator[Array]:
    """float32 [n] at `rate` hertz: the files', or sentences that another model speaks, the same each time.

    Raises AudioError for a file that is none, and what loading the speaking model raises.
    """
    from sonorant import library
    from sonorant.audio.resample import Resampler

    if files:
        for path in files:
            yield _read(path, rate)
        return
    language = next((each.split("-")[0] for each in languages if each.split("-")[0] in VOICES), "en")
    speaker = library.load(VOICES[language][1])
    try:
        for text in sentences(language):
            chunk = speaker.say(text, seed=0).result()
            resampler = Resampler(chunk.sample_rate, rate)
            samples = np.concatenate([resampler.process(chunk.samples), resampler.flush()])
            yield np.clip(np.pad(samples, rate // 2), -1, 1).astype(np.float32)
    finally:
        speaker.close()


def people(rate: int = RATE) -> Iterator[Array]:
    """float32 [n] at `rate` hertz: Mandarin read and spoken freely. The gate lets vocoders say English again.

    Raises DownloadError, ModelFileError.
    """
    from sonorant.audio.resample import Resampler
    from sonorant.prepare.quality.recordings import recorded

    for one in recorded(("zh",)):
        resampler = Resampler(one.audio.sample_rate, rate)
        some = one.audio.samples[: round(PEOPLE_SECONDS * one.audio.sample_rate)]
        yield np.concatenate([resampler.process(some), resampler.flush()]).clip(-1, 1)


def _read(path: Path, wanted: int) -> Array:
    import soundfile

    from sonorant.audio.resample import Resampler
    from sonorant.errors import AudioError

    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except Exception as error:  # libsndfile's errors, and those of the operating system
        raise AudioError(
            f"{path} cannot be read", why=str(error), remedy="Give WAV, FLAC, Ogg or MP3", param="recording"
        ) from error
    resampler = Resampler(rate, wanted)
    mono = np.ascontiguousarray(samples.mean(axis=1))
    whole: Array = np.concatenate([resampler.process(mono), resampler.flush()])
    return whole.clip(-1, 1)
