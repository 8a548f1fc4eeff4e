"""Speech to measure with: recordings of people, and fixed sentences said by our own voices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import soundfile

from sonorant.catalogue import Catalogue, card_file
from sonorant.prepare.quality import sentences
from sonorant.settings import CatalogueSettings, load_settings
from sonorant.tasks import AudioChunk

VOICES = {"en": ("english", "hibari"), "zh": ("chinese", "kokoro")}
"""language → which sentences, and the model that says them"""
SPOKEN = 24
"""sentences beside the recordings: there are too few of those for an interval"""

BECKETT_TEXT = "Ever tried. Ever failed. No matter. Try again. Fail again. Fail better."
"""Samuel Beckett, Worstward Ho (1983)"""
TWO_CITIES_TEXT = (
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the age of "
    "foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the season of Light, "
    "it was the season of Darkness, it was the spring of hope, it was the winter of despair, we had "
    "everything before us, we had nothing before us, we were all going direct to Heaven, we were all going "
    "direct the other way; in short, the period was so far like the present period, that some of its "
    "noisiest authorities insisted on its being received, for good or for evil, in the superlative degree of "
    "comparison only."
)
"""Charles Dickens, A Tale of Two Cities (1859), its first sentence"""
MANDARIN_SENTENCE_TEXT = "甚至出现交易几乎停滞的情况。"
MANDARIN_MINUTE_TEXT = (
    "试错的过程很简单啊，而且特别是今天报名畅学卡的同学，你们可以听到后面的有专门的活动课，它会大大降低你的试错成本。"
    "其实你也可以不来听课，为什么？你自己写嘛。我先今天写五个点，我就试试试验一下，反正这五个点不行，"
    "我再写五个点，这试再不行，那再写五个点嘛。你总会，所谓的活动大神和所谓的高手，都是只有一个，把所有的错、"
    "所有的坑全趟一遍，留下正确的，你就是所谓的大神，明白吗？所以说关于活动通过这一块，我只送给你们四个字啊，换位思考。"
    "如果说你要想降低你的试错成本，今天来这里你们就是对的，因为有畅学卡这个机会。所以说关于活动过与不过这个问题，"
    "或者活动很难通过这个话题，呃，如果真的要坐下来聊的话，要聊一天。但是我觉得我刚才说的四个字足够。好，谢谢。"
    "好，非常感谢那个三茂老师的回答啊。三茂老师说，我们在整个店铺的这个活动当中，我们要学会换位思考，其实"
)
"""Put together from what several recognisers hear and what makes sense; it is cut off at the end. The two
names, 畅学卡 (a card of courses) and 三茂 (a teacher), are guesses."""


@dataclass(frozen=True, slots=True)
class Recording:
    """Speech, and what is said in it."""

    audio: AudioChunk
    language: str
    """BCP 47"""
    text: str = ""
    """as written in print; "" where nobody has established it"""


FILES = (
    ("beckett.wav", "en", BECKETT_TEXT),
    ("two_cities.wav", "en", TWO_CITIES_TEXT),
    ("asr_example.wav", "zh", MANDARIN_SENTENCE_TEXT),
    ("vad_example.wav", "zh", MANDARIN_MINUTE_TEXT),
)


def recorded(
    languages: Sequence[str] = ("en", "zh"), settings: CatalogueSettings | None = None
) -> list[Recording]:
    """People: English read (10 and 44 s), Mandarin read (4 s) and spoken freely (70 s).

    Fetched when first asked for. Raises DownloadError, ModelFileError.
    """
    card = resources.files("sonorant.prepare.quality").joinpath("recordings.toml")
    folder = Catalogue(settings or load_settings().catalogue).ensure(
        card_file.parse(card.read_bytes(), str(card))
    )
    return [
        Recording(_read(folder / name), language, text)
        for name, language, text in FILES
        if language in languages
    ]


def spoken(language: str, count: int = SPOKEN) -> list[Recording]:
    """Fixed sentences said by one of our voices; none in a language that none of them speaks.

    Raises ModelError where the voice cannot be loaded.
    """
    import sonorant

    if language not in VOICES:
        return []
    name, model = VOICES[language]
    found = sentences.lines(name)
    voice = sonorant.load(model)
    try:
        said = found[:: max(1, len(found) // count)][:count]
        return [
            Recording(voice.say(text, language=language, seed=0).result(), language, text) for text in said
        ]
    finally:
        voice.close()


def _read(path: Path) -> AudioChunk:
    samples, rate = soundfile.read(path, dtype="float32")
    return AudioChunk(samples, rate)
