"""SSML (W3C Speech Synthesis Markup Language 1.1), the part that every voice can be asked for.

speak, p, s, break, prosody (rate, volume), say-as, sub, phoneme, voice and lang are obeyed. What else the
standard knows is passed over, its text is spoken, and it is reported; what it does not know is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from xml.parsers import expat

from sonorant.errors import TextError
from sonorant.tasks import Pronunciation, Utterance
from sonorant.text.lexicon import MARK
from sonorant.text.said import KINDS, said
from sonorant.text.segment import ends_sentence

DEEPEST = 16
"""elements inside each other"""
LONGEST_BREAK = 10.0
"""seconds"""
JOIN_SECONDS = 0.06
"""of silence where the manner changes inside a sentence"""

_OBEYED = frozenset(("speak", "p", "s", "break", "prosody", "say-as", "sub", "phoneme", "voice", "lang"))
_PASSED = frozenset(("emphasis", "mark", "w", "token", "lexicon", "lookup", "meta"))
_SILENT = frozenset(("metadata", "desc", "audio"))
_BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.2, "medium": 0.4, "strong": 0.7, "x-strong": 1.2}
_RATES = {"x-slow": 0.5, "slow": 0.75, "medium": 1.0, "default": 1.0, "fast": 1.3, "x-fast": 1.7}
_VOLUMES = {
    "silent": 0.0,
    "x-soft": 0.25,
    "soft": 0.5,
    "medium": 1.0,
    "default": 1.0,
    "loud": 1.6,
    "x-loud": 2.0,
}
_UNHEARD = ("pitch", "range", "contour", "duration")
_CLOSING = re.compile(r"[,.!?;:…，。！？；：、\"'”’)\]»」』）]+")
_ALPHABETS = frozenset(("ipa", "pinyin", "x-pinyin"))


@dataclass(frozen=True, slots=True)
class Markup:
    """A document, ready to be spoken."""

    utterances: tuple[Utterance, ...]
    ignored: tuple[str, ...]
    """what was asked for and cannot be done, each once: "emphasis", "prosody pitch" """

    @property
    def text(self) -> str:
        """What is spoken, without the markup."""
        return " ".join(u.text for u in self.utterances if u.text).replace(MARK, "")


def is_markup(text: str) -> bool:
    """Whether a text is meant as SSML: it begins with <speak>, or as an XML document does."""
    return bool(re.match(r"\s*<(speak[\s>/]|\?xml\s|!DOCTYPE\s)", text))


def parse(document: str) -> Markup:
    """Raises TextError for what is not well-formed, too deep, or has elements that are not SSML's.

    Document types, and with them entities of one's own, are refused; &amp; &lt; &gt; &quot; &apos; and
    numbers work.
    """
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.characters
    try:
        parser.Parse(document.strip(), True)
    except expat.ExpatError as error:
        raise TextError(
            "The SSML is not well-formed",
            why=f"{expat.ErrorString(error.code)} (line {error.lineno}, column {error.offset})",
            remedy="Close every tag, and write & as &amp; and < as &lt;",
            param="input",
        ) from None
    utterances = _utterances(reader.items)
    if not any(utterance.text for utterance in utterances):
        raise TextError("The SSML holds no text", remedy="Write at least one word in it", param="input")
    return Markup(utterances, tuple(reader.ignored))


@dataclass(frozen=True, slots=True)
class _Manner:
    """How the text inside an element is spoken."""

    voice: str = ""
    gender: str = ""
    language: str = ""
    rate: float = 1.0
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class _Said:
    text: str
    manner: _Manner
    lexicon: tuple[Pronunciation, ...] = ()


@dataclass(frozen=True, slots=True)
class _End:
    """A sentence or paragraph ends, or a break of so many seconds comes."""

    paragraph: bool = False
    seconds: float | None = None


@dataclass(slots=True)
class _Element:
    name: str
    manner: _Manner
    reading: str = ""
    """of the text inside it: an alias, or phonemes between slashes"""
    kind: str = ""
    """what the text inside it is, for say-as"""
    silent: bool = False
    held: list[str] = field(default_factory=list)

    @property
    def whole(self) -> bool:
        """Its text is looked at when it is complete."""
        return bool(self.reading or self.kind)


class _Reader:
    """What the parser reports → what is said, and where it ends."""

    def __init__(self) -> None:
        self.items: list[_Said | _End] = []
        self.ignored: dict[str, None] = {}
        self._open: list[_Element] = []
        self._readings: dict[str, str] = {}

    def doctype(self, *_: object) -> None:
        raise TextError(
            "The SSML has a document type",
            why="Entities that it declares could grow without bound, or name files",
            remedy="Remove the <!DOCTYPE …>",
            param="input",
        )

    def start(self, qualified: str, given: Mapping[str, str]) -> None:
        name = qualified.rpartition(" ")[2]
        values = {key.rpartition(" ")[2]: value.strip() for key, value in given.items()}
        self._check(name)
        outer = self._open[-1] if self._open else _Element("", _Manner())
        element = _Element(name, outer.manner, silent=outer.silent or name in _SILENT)
        if name in ("p", "s"):
            self.items.append(_End())
        if name in _PASSED | _SILENT:
            self.ignored[name] = None
        if name == "voice":  # it has a language of its own
            element.manner = replace(element.manner, language="")
        # that of the whole document is the language of most of it: it does not change how the rest is read
        if name != "speak" and (language := values.get("lang") or values.get("languages")):
            element.manner = replace(element.manner, language=language)
        match name:
            case "break":
                self.items.append(_End(seconds=self._break(values)))
            case "prosody":
                self.ignored.update({f"prosody {key}": None for key in _UNHEARD if key in values})
                rate = element.manner.rate * _rate(values.get("rate", "default"))
                gain = element.manner.gain * _gain(values.get("volume", "default"))
                element.manner = replace(element.manner, rate=rate, gain=gain)
            case "voice":
                voice, gender = values.get("name", ""), values.get("gender", "")
                element.manner = replace(element.manner, voice=voice, gender=gender)
            case "sub":
                element.reading = _required(name, "alias", values)
            case "phoneme":
                if (alphabet := values.get("alphabet", "ipa").lower()) in _ALPHABETS:
                    element.reading = f"/{_required(name, 'ph', values)}/"
                else:
                    self.ignored[f"phoneme alphabet {alphabet}"] = None
            case "say-as":
                if (kind := values.get("interpret-as", "").lower()) in KINDS:
                    element.kind = kind
                else:
                    self.ignored[f"say-as {kind}".strip()] = None
        self._open.append(element)

    def end(self, _: str) -> None:
        element = self._open.pop()
        if element.whole:
            self._special(element)
        if element.name in ("p", "s"):
            self.items.append(_End(paragraph=element.name == "p"))

    def characters(self, text: str) -> None:
        element = self._open[-1]
        if element.whole:
            element.held.append(text)
        elif not element.silent:
            self.items.append(_Said(text, element.manner))

    def _check(self, name: str) -> None:
        if name not in _OBEYED | _PASSED | _SILENT:
            raise TextError(
                f"<{name[:40]}> is no element of SSML",
                why=f"Obeyed are {', '.join(sorted(_OBEYED))}",
                remedy="Remove the tag; its text can stay",
                param="input",
            )
        if (name == "speak") == bool(self._open):
            raise TextError(
                "SSML is one <speak> element with everything inside", remedy="Write it so", param="input"
            )
        if len(self._open) >= DEEPEST:
            raise TextError(
                f"The SSML has more than {DEEPEST} elements inside each other",
                remedy="Write it flatter",
                param="input",
            )
        if self._open and self._open[-1].whole:
            raise TextError(
                f"<{self._open[-1].name}> holds text only", remedy=f"Move <{name}> out of it", param="input"
            )

    def _special(self, element: _Element) -> None:
        """The text of a sub, phoneme or say-as: the word that is written, with a reading of its own."""
        text = " ".join("".join(element.held).split())
        reading = element.reading or said(text, element.kind, element.manner.language)
        if not text or reading == text or element.silent:
            self.items.append(_Said(text, element.manner))
            return
        word = text + MARK
        while self._readings.setdefault(word, reading) != reading:
            word += MARK
        entry = Pronunciation(word, "", reading)
        self.items.append(_Said(word, element.manner, (entry,)))

    def _break(self, values: Mapping[str, str]) -> float:
        if not (time := values.get("time")):
            strength = values.get("strength", "medium")
            return _BREAKS[_one_of("break", "strength", strength, _BREAKS)]
        found = re.fullmatch(r"\+?(\d*\.?\d+)(ms|s)", time)
        if not found:
            raise _wrong("break", "time", time, "500ms or 1.5s")
        seconds = float(found[1]) / (1000 if found[2] == "ms" else 1)
        if seconds > LONGEST_BREAK:
            self.ignored[f"break beyond {LONGEST_BREAK:g}s"] = None
        return min(seconds, LONGEST_BREAK)


def _utterances(items: Iterable[_Said | _End]) -> tuple[Utterance, ...]:
    """Text in one manner up to the next end is one utterance; one without text is only a pause."""
    found: list[Utterance] = []
    manner: _Manner | None = None  # of the last utterance, as long as it can take more text
    for item in items:
        if isinstance(item, _End):
            manner = None
            _end(found, item)
            continue
        text = item.text
        if manner is not None and manner != item.manner:
            closing = _CLOSING.match(text)
            if closing:  # a comma behind an element belongs to what is in it
                found[-1] = replace(found[-1], text=found[-1].text + closing[0])
                text = text[closing.end() :]
            if text.strip() and not ends_sentence(found[-1].text):
                found[-1] = replace(found[-1], pause=JOIN_SECONDS)
        if manner == item.manner:
            lexicon = tuple(dict.fromkeys((*found[-1].lexicon, *item.lexicon)))
            found[-1] = replace(found[-1], text=found[-1].text + text, lexicon=lexicon)
        elif text.strip():
            manner = item.manner
            found.append(
                Utterance(
                    text=text,
                    voice=manner.voice,
                    gender=manner.gender,
                    language=manner.language,
                    rate=manner.rate,
                    gain=manner.gain,
                    lexicon=item.lexicon,
                )
            )
    return tuple(replace(utterance, text=" ".join(utterance.text.split())) for utterance in found)


def _end(found: list[Utterance], end: _End) -> None:
    last = found[-1] if found else None
    if end.seconds is not None:
        found[-1:] = (
            [replace(last, pause=(last.pause or 0.0) + end.seconds)]
            if last
            else [Utterance(text="", pause=end.seconds)]
        )
    elif end.paragraph and last:
        found[-1] = replace(last, paragraph=True)


def _rate(text: str) -> float:
    if text in _RATES:
        return _RATES[text]
    found = re.fullmatch(r"([+-]?)(\d+(?:\.\d+)?)(%?)", text)
    if not found:
        raise _wrong("prosody", "rate", text, f"{', '.join(_RATES)}, 120% or 1.2")
    value = float(found[2]) / (100 if found[3] else 1)
    if found[1] and found[3]:
        value = 1 + value if found[1] == "+" else 1 - value
    if not 0.1 <= value <= 10:
        raise _wrong("prosody", "rate", text, "10% to 1000%")
    return value


def _gain(text: str) -> float:
    if text in _VOLUMES:
        return _VOLUMES[text]
    found = re.fullmatch(r"[+-]?\d+(?:\.\d+)?dB", text, re.IGNORECASE)
    if not found or not -60 <= float(text[:-2]) <= 20:
        raise _wrong("prosody", "volume", text, f"{', '.join(_VOLUMES)}, or -60dB to +20dB")
    return float(10 ** (float(text[:-2]) / 20))


def _required(element: str, name: str, values: Mapping[str, str]) -> str:
    if not values.get(name):
        raise TextError(
            f"<{element}> lacks its {name}", remedy=f'Write <{element} {name}="…">', param="input"
        )
    return values[name]


def _one_of(element: str, name: str, value: str, known: Iterable[str]) -> str:
    if value not in known:
        raise _wrong(element, name, value, ", ".join(known))
    return value


def _wrong(element: str, name: str, value: str, like: str) -> TextError:
    return TextError(
        f'<{element} {name}="{value[:40]}"> cannot be understood',
        remedy=f"Write it like {like}",
        param="input",
    )
