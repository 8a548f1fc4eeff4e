"""The network, run by CTranslate2: windows of samples → what is said in them, and when."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sonorant.errors import EngineError
from sonorant.families.whisper.layout import SAMPLE_RATE
from sonorant.families.whisper.phrases import Piece, marked
from sonorant.tasks import Quality

BEAM = 5
"""hypotheses followed at temperature 0, and tried at others: OpenAI's and faster-whisper's default"""
BEAMS = {Quality.HIGH: BEAM, Quality.BALANCED: 2, Quality.FAST: 1}
TEMPERATURES = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
REPETITIVE = 2.4
"""text that zlib packs more tightly than this is a loop (openai/whisper, transcribe.py; the next two, too)"""
UNSURE = -1.0
"""mean log probability below which a text is tried again"""
SILENT = 0.6
"""probability of no speech above which an unsure text is none"""
CERTAIN = 0.5
"""probability above which a window's language counts; below, it is that of the window before"""
SILENCE = 1.0
"""seconds that the network hears after a window: without any it does not end the text, but repeats it"""
LEAST = 15.0
"""seconds that it hears at least: with these short stretches had as many errors as with 30; less can loop"""

SIMPLIFIED, TRADITIONAL = "以下是普通话的句子。好的,我们开始吧。", "以下是國語的句子。好的,我們開始吧。"
"""what the network believes to have written before in Chinese: in which script, and with punctuation"""

_OPENING, _CLOSING = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"
"""punctuation that belongs to the word after it, and before it (openai/whisper, timing.py)"""

Samples = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manner:
    """How windows are to be written down."""

    language: str = ""
    """Whisper's code; "" = whatever each window is in"""
    prompt: str = ""
    """what seems to have been written before"""
    traditional: bool = False
    """the script of Chinese"""
    temperature: float = 0.0
    translate: bool = False
    beam: int = BEAM


@dataclass(frozen=True, slots=True)
class Heard:
    """What is said in a window."""

    language: str
    avg_logprob: float
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class _Text:
    """One attempt at a window."""

    tokens: tuple[int, ...]
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float

    @property
    def silent(self) -> bool:
        return self.no_speech_prob > SILENT and self.avg_logprob < UNSURE

    @property
    def looping(self) -> bool:
        return self.compression_ratio > REPETITIVE

    @property
    def good(self) -> bool:
        return self.silent or (not self.looping and self.avg_logprob >= UNSURE)

    @property
    def rank(self) -> tuple[bool, float]:
        """Among attempts of which none is good. A loop is probable to itself: of loops the least one."""
        return not self.looping, -self.compression_ratio if self.looping else self.avg_logprob


@dataclass(frozen=True, slots=True)
class Encoded:
    """Windows as the decoder sees them."""

    features: NDArray[np.float32]
    """[window, mel, frame of 10 ms]"""
    states: Any
    """ctranslate2.StorageView [window, frame of 20 ms, hidden]"""
    lengths: list[int]
    """samples"""
    detected: list[tuple[str, float]]
    """each window's most probable language, and how probable it is"""


class Engine:
    """A model of which several callers, as many as it has `workers`, can use these methods at once."""

    def __init__(self, model: Any, workers: int) -> None:
        """model: a faster_whisper.WhisperModel that computes as many calls at once as it has `workers`."""
        self._model, self.workers = model, workers
        self.multilingual = bool(model.model.is_multilingual)
        self._tokenizer = cache(self._new_tokenizer)

    def warm_up(self) -> None:
        """Run encoder and decoder once, on a second of silence."""
        manner = Manner(language="en", temperature=0.1)
        self.hear(self.encode([np.zeros(SAMPLE_RATE, np.float32)], manner), ["en"], manner, Event())

    def encode(self, windows: Sequence[Samples], manner: Manner) -> Encoded:
        """windows: float32 [n] each, at 16 kHz, n ≤ 480,000. Blocks. Raises EngineError."""
        with _failures_told():
            features = self._features(windows)
            states = self._model.encode(features)
            detected = [(manner.language or "en", 1.0)] * len(windows)
            if not manner.language and self.multilingual:
                rankings = self._model.model.detect_language(states)
                detected = [(token.strip("<|>"), probability) for (token, probability), *_ in rankings]
            return Encoded(features, states, [len(samples) for samples in windows], detected)

    def hear(self, encoded: Encoded, languages: Sequence[str], manner: Manner, stopped: Event) -> list[Heard]:
        """What is said in each window, of which `languages` are the languages.

        A text that repeats itself or that the network is unsure of is tried again with all of 30 s, then
        at higher temperatures, unless one was asked for; one that remains improbable where the network
        hears no speech is left out. That is what OpenAI's own program does against invented text; texts
        before a window are not shown to it, because they make loops last. Once `stopped` is set nothing
        more is begun, and the result is empty. Blocks. Raises EngineError.
        """
        with _failures_told():
            return self._heard(encoded, languages, manner, stopped)

    def _heard(self, batch: Encoded, languages: Sequence[str], manner: Manner, stopped: Event) -> list[Heard]:
        heard: dict[int, Heard] = {}
        for language in dict.fromkeys(languages):
            members = [i for i, one in enumerate(languages) if one == language]
            if stopped.is_set():
                return []
            same = len(members) == len(languages)
            states = batch.states if same else self._model.encode(batch.features[members])
            lengths = [batch.lengths[i] for i in members]
            texts = self._written(batch.features[members], states, language, manner, stopped)
            pieces = self._pieces(texts, lengths, states, self._tokenizer(language, manner.translate))
            for i, text, said in zip(members, texts, pieces, strict=True):
                heard[i] = Heard(language, text.avg_logprob, tuple(said))
        return [heard[i] for i in range(len(languages))]

    def _features(self, windows: Sequence[Samples]) -> NDArray[np.float32]:
        """Log-mel spectrograms [window, mel, frame]: the samples, and the silence in which the text ends.

        The network learnt from 30 s; each frame that it need not hear saves its part of the encoder and
        of every step of the decoder.
        """
        extractor = self._model.feature_extractor
        seconds = max(LEAST, max(map(len, windows)) / SAMPLE_RATE + SILENCE)
        frames = min(math.ceil(seconds) * SAMPLE_RATE // extractor.hop_length, extractor.nb_max_frames)
        length = frames * extractor.hop_length
        return np.stack([extractor(np.pad(w, (0, length - len(w))), padding=0)[:, :frames] for w in windows])

    def _whole(self, mel: NDArray[np.float32]) -> NDArray[np.float32]:
        """The 30 s that the network learnt from: `mel` [mel, frame] and the silence left out behind it."""
        rest = self._model.feature_extractor.nb_max_frames - mel.shape[1]
        return np.pad(mel, ((0, 0), (0, rest)), constant_values=mel.min())

    def _written(
        self,
        features: NDArray[np.float32],
        encoded: Any,
        language: str,
        manner: Manner,
        stopped: Event,
    ) -> list[_Text]:
        """The best text of each window, all of one language."""
        texts = self._generate(encoded, len(features), language, manner, manner.temperature)
        if manner.temperature:
            return texts
        for i, text in enumerate(texts):
            attempts, alone = [text], None
            for temperature in TEMPERATURES:
                if attempts[-1].good or stopped.is_set():
                    break
                alone = self._model.encode(self._whole(features[i])) if alone is None else alone
                attempts += self._generate(alone, 1, language, manner, temperature)
            texts[i] = attempts[-1] if attempts[-1].good else max(attempts, key=lambda a: a.rank)
        return texts

    def _generate(
        self, encoded: Any, count: int, language: str, manner: Manner, temperature: float
    ) -> list[_Text]:
        from faster_whisper.transcribe import get_compression_ratio, get_suppressed_tokens

        tokenizer = self._tokenizer(language, manner.translate)
        prompt = manner.prompt
        if language == "zh" and not manner.translate:
            prompt += TRADITIONAL if manner.traditional else SIMPLIFIED
        previous = tokenizer.encode(prompt) if prompt else []
        # with time marks it leaves out what it does not mark, such as the end of a full window; a
        # translation needs them, because its words cannot be aligned with the sound
        tokens = self._model.get_prompt(tokenizer, previous, without_timestamps=not manner.translate)
        search = (
            {
                "beam_size": 1,
                "num_hypotheses": manner.beam,
                "sampling_topk": 0,
                "sampling_temperature": temperature,
            }
            if temperature
            else {"beam_size": manner.beam}
        )
        results = self._model.model.generate(
            encoded,
            [tokens] * count,
            max_length=self._model.max_length,
            suppress_tokens=list(get_suppressed_tokens(tokenizer, [-1])),
            return_scores=True,
            return_no_speech_prob=True,
            **search,
        )
        texts = []
        for result in results:
            found = tuple(result.sequences_ids[0])
            # CTranslate2 divides the score by the length without the end of text, which has a part in it
            logprob = result.scores[0] * len(found) / (len(found) + 1)
            ratio = get_compression_ratio(tokenizer.decode(found).strip())
            texts.append(_Text(found, logprob, ratio, result.no_speech_prob))
        return texts

    def _pieces(
        self, texts: Sequence[_Text], lengths: Sequence[int], encoded: Any, tokenizer: Any
    ) -> list[list[Piece]]:
        """What is said in each window. lengths: samples."""
        tokens = [[] if text.silent else list(text.tokens) for text in texts]
        if tokenizer.task == tokenizer.translate:
            return [marked(t, n / SAMPLE_RATE, tokenizer) for t, n in zip(tokens, lengths, strict=True)]
        written = [[token for token in of_window if token < tokenizer.eot] for of_window in tokens]
        return self._timed(written, lengths, encoded, tokenizer)

    def _timed(
        self, tokens: list[list[int]], lengths: Sequence[int], encoded: Any, tokenizer: Any
    ) -> list[list[Piece]]:
        """The words of each window, by the attention between text and sound. lengths: samples."""
        from faster_whisper.transcribe import merge_punctuations

        hop = self._model.feature_extractor.hop_length
        frames = [math.ceil(length / hop) for length in lengths]
        aligned = self._model.find_alignment(tokenizer, tokens, encoded, frames)
        timed = []
        for words, length in zip(aligned, lengths, strict=True):
            merge_punctuations(words, _OPENING, _CLOSING)
            times = [[min(float(w[end]), length / SAMPLE_RATE) for end in ("start", "end")] for w in words]
            pieces = [Piece(w["word"], tuple(w["tokens"]), *t) for w, t in zip(words, times, strict=True)]
            timed.append([piece for piece in pieces if piece.text.strip()])
        return timed

    def _new_tokenizer(self, language: str, translate: bool) -> Any:
        from faster_whisper.tokenizer import Tokenizer

        task = "translate" if translate else "transcribe"
        return Tokenizer(self._model.hf_tokenizer, self.multilingual, task=task, language=language)


def settled(detected: Sequence[tuple[str, float]], before: str) -> list[str]:
    """The language of each window: as detected there, or where that is uncertain, that of the one before."""
    languages = []
    for language, probability in detected:
        before = language if probability >= CERTAIN or not before else before
        languages.append(before)
    return languages


@contextmanager
def _failures_told() -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError) as error:
        raise EngineError("CTranslate2 failed", why=str(error)) from error
