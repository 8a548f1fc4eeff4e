"""How much of what was said a listener got wrong.

Four measures, each of (errors, units of the reference):
- `word_errors`, English: words;
- `character_errors`, Chinese or mixed: characters, and each English word one (the mixed error rate);
- `pinyin_errors`, Chinese or mixed: syllables with their tones, so that homophones cost nothing. A listener
  of Whisper base's size often writes another character of the same sound; what was said it heard right;
- `plain_errors`, other languages: words, or characters, as they are written but for case and punctuation.

They need jiwer: the extra sonorant[quality].
"""

from __future__ import annotations

import bisect
import itertools
import re
import unicodedata
from collections.abc import Iterator, Sequence

from sonorant.errors import MissingExtraError
from sonorant.prepare.quality.words.english import normalize
from sonorant.prepare.quality.words.mandarin import syllables, units


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(errors, words of the reference): substitutions, deletions and insertions after `normalize`.

    Where both differ only in spaces ("seat belt", "seatbelt") there is no error: nobody can hear it.
    """
    said, heard = normalize(reference), normalize(hypothesis)
    return sum(_longer(*run) for run in _differences(said, heard)), len(said)


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(errors, characters and English words of the reference), as `word_errors`, after `units`."""
    said, heard = units(reference), units(hypothesis)
    return sum(_longer(*run) for run in _differences(said, heard)), len(said)


def pinyin_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """(errors, syllables and English words of the reference): where characters differ, their syllables.

    A wrong tone is an error as a wrong syllable is. Tones agree as in the dictionary or as in connected
    speech: 你好 is ní hǎo, where a listener may write 泥好. The same character in the same place is no
    error, whatever its neighbours let the dictionary think of its reading; nor is 的 for 得 or 地; nor pinyin
    without tones, which listeners write among English words (Shanghai).
    """
    said, heard = units(reference), units(hypothesis)
    tellings = [(syllables(said, sandhi), syllables(heard, sandhi)) for sandhi in (False, True)]
    errors = 0
    for in_said, in_heard in _differences(_one_particle(said), _one_particle(heard)):
        if _romanised(said[in_said], heard[in_heard]):
            continue
        errors += min(
            sum(_longer(*run) for run in _differences(a[in_said], b[in_heard])) for a, b in tellings
        )
    return errors, len(said)


def _romanised(said: list[str], heard: list[str]) -> bool:
    """Whether Chinese was heard and written down in Latin letters."""
    written = "".join(heard)
    spoken = (re.sub(r"\d$", "", syllable) for syllable in syllables(said))
    return written.isascii() and not "".join(said).isascii() and written == "".join(spoken).replace("v", "u")


def plain_errors(reference: str, hypothesis: str, *, spaced: bool) -> tuple[int, int]:
    """(errors, words of the reference), or characters where the language is written without spaces."""
    said, heard = _plain(reference, spaced), _plain(hypothesis, spaced)
    return sum(_longer(*run) for run in _differences(said, heard)), len(said)


def _plain(text: str, spaced: bool) -> list[str]:
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(" " if unicodedata.category(character)[0] in "PS" else character for character in text)
    return text.split() if spaced else list("".join(text.split()))


def _one_particle(spoken: list[str]) -> list[str]:
    """The particle de is written in three ways, which the dictionary takes for three words."""
    return ["的" if unit in ("得", "地") else unit for unit in spoken]


def errors_by_part(parts: Sequence[str], hypothesis: str) -> list[int]:
    """The word errors of each of the parts of which a reference is made; the sum is that of `word_errors`."""
    words = [normalize(part) for part in parts]
    ends = list(itertools.accumulate(map(len, words)))
    errors = [0] * len(parts)
    for in_said, in_heard in _differences(list(itertools.chain(*words)), normalize(hypothesis)):
        errors[min(bisect.bisect_right(ends, in_said.start), len(parts) - 1)] += _longer(in_said, in_heard)
    return errors


def _differences(said: list[str], heard: list[str]) -> Iterator[tuple[slice, slice]]:
    """Where `said` and `heard` differ in the shortest alignment, except in spaces alone."""
    try:
        import jiwer
    except ImportError as error:
        raise MissingExtraError(
            "Counting word errors needs jiwer, which is not installed",
            remedy='Install it: `pip install "sonorant[quality]"`',
        ) from error
    if not said:
        yield slice(0, 0), slice(0, len(heard))
        return
    alignment = jiwer.process_words(" ".join(said), " ".join(heard)).alignments[0]
    for is_equal, run in itertools.groupby(alignment, key=lambda chunk: chunk.type == "equal"):
        chunks = list(run)
        in_said = slice(chunks[0].ref_start_idx, chunks[-1].ref_end_idx)
        in_heard = slice(chunks[0].hyp_start_idx, chunks[-1].hyp_end_idx)
        if not is_equal and "".join(said[in_said]) != "".join(heard[in_heard]):
            yield in_said, in_heard


def _longer(in_said: slice, in_heard: slice) -> int:
    """The errors of a run of differences: substitutions, then deletions or insertions."""
    longest: int = max(in_said.stop - in_said.start, in_heard.stop - in_heard.start)
    return longest
