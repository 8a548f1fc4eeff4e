"""English as the ear gets it: two texts are equal here when a person would read them aloud alike.

Word error rates are counted on the words of `normalize`. It follows Whisper's English normaliser
(Radford et al. 2022, appendix C) with the last step reversed: numbers end as words, so that a wrong
digit costs the words that are wrong. The steps, each a table below:

1. WRITTEN: "U.S.A." and "U S A" are usa; St. is a saint before a name and a street elsewhere;
2. LETTERS (lower case): abbreviations written out, contractions undone, fillers dropped, British
   spelling made American; the apostrophe of "Mary's" cannot be heard and goes;
3. SIGNS: telephone numbers digit by digit, times, dates in figures, fractions, money, ranges;
4. number words become digits ("two thousand and eight" → 2008), so that all forms meet in one;
5. ORDER: one order for money and dates ("$5.20" → 5 dollar 20, "3 June" → june 3rd), units written out;
6. digits become words again, two at a time (1969 → nineteen sixty nine): see numerals.py.

What can be heard is kept: word order, names, plurals (except of a unit after a number, since $ and kg
have none), "half past seven" against "seven thirty". Dates in figures are American: 07/04 is July 4th.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from sonorant.prepare.quality.words.numerals import in_digits, in_words

MONTHS = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
          "november", "december"]  # fmt: skip
PARTS = {2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 8: "eighth", 10: "tenth"}
MEASURES = {
    "kmh": "kilometer per hour", "kph": "kilometer per hour", "mph": "mile per hour", "km": "kilometer",
    "m": "meter", "cm": "centimeter", "mm": "millimeter", "ft": "foot", "feet": "foot", "inches": "inch",
    "kg": "kilogram", "g": "gram", "mg": "milligram", "lbs?": "pound", "oz": "ounce",
    "l": "liter", "ml": "milliliter", "kb": "kilobyte", "mb": "megabyte", "gb": "gigabyte", "tb": "terabyte",
}  # fmt: skip
COUNTED = {name.split()[0] for name in MEASURES.values()} | {"dollar", "euro", "cent", "degree"}
MONEY = {"$": "dollars", "£": "pounds", "€": "euros"}

Rule = tuple[str, str | Callable[[re.Match[str]], str]]
_MONTH = rf"({'|'.join(MONTHS)})"

WRITTEN: list[Rule] = [
    (r"\b[A-Za-z]\.(?: ?[A-Z]\.|[a-z]\.)+|\b[A-Z](?:[ -][A-Z])+\b", lambda m: re.sub(r"\W", "", m[0]) + " "),
    (r"\b[Ss]t\.? (?=[A-Z])", "saint "),
]
LETTERS: list[Rule] = [
    (r"\beg\b", "for example"), (r"\bie\b", "that is"), (r"\betc\b", "et cetera"), (r"\bvs\b", "versus"),
    (r"\bdr\b", "doctor"), (r"\bmr\b", "mister"), (r"\bmrs\b", "missus"), (r"\bprof\b", "professor"),
    (r"\bst\b", "street"), (r"\bave\b", "avenue"), (r"\bblvd\b", "boulevard"),
    (r"\bkm/h\b", "kmh"), (r"\bno\. ?(?=\d)|#(?=\d)", "number "), (r"&", " and "),
    (r"\bsept\b", "sep"),
    *((rf"\b{month[:3]}\b\.?(?= \d)|(?<=\d ){month[:3]}\b", month) for month in MONTHS),
    (r"\bwon't\b", "will not"), (r"\bcan't\b|\bcannot\b", "can not"), (r"\blet's\b", "let us"),
    (r"n't\b", " not"), (r"'re\b", " are"), (r"'ve\b", " have"), (r"'ll\b", " will"), (r"'d\b", " would"),
    (r"\bi'm\b", "i am"), (r"\b(it|he|she|that|what|where|who|here|there|how)'s\b", r"\1 is"), (r"'", ""),
    (r"\bgonna\b", "going to"), (r"\bwanna\b", "want to"), (r"\bgotta\b", "got to"),
    (r"\b(uh+|um+|hm+|mm+|mhm)\b", " "), (r"\bok\b", "okay"), (r"\bper cent\b", "percent"),
    (r"\bgrey", "gray"), (r"\bprogramme", "program"), (r"\b(def|off|lic)ence", r"\1ense"),
    (r"\b(\w{3,})our(s|ed|ing|able|ite|ites|ful|hood)?\b", r"\1or\2"), (r"\b(\w{2,}[tb])re(s?)\b", r"\1er\2"),
    (r"\b(\w{3,}[iy])s(e|es|ed|er|ers|ing|ation|ations)\b", r"\1z\2"), (r"\b(\w{3,}l)ogue", r"\1og"),
    (r"\b(trave|cance|labe|mode|leve|fue|jewe|counse)ll(ed|ing|er|ers|or)\b", r"\1l\2"),
    (r"\ba (?=hundred|thousand|million|billion)", "1 "),
]  # fmt: skip
SIGNS: list[Rule] = [
    (
        r"(?<![\d,.])\(?\b\d{3}\)?[- .]{0,2}\d{3}[- .]?\d{4}\b|(?<![\d,.])\b\d{3}[- ]?\d{4}\b",
        lambda m: " ".join(re.findall(r"\d", m[0])),
    ),
    (r"(?<=\d),(?=\d{3}\b)", ""),
    (r"\b(\d{4})-(\d\d)-(\d\d)\b", lambda m: _date(m[2], m[3], m[1])),
    (r"\b(\d{1,2})[/-](\d{1,2})[/-](\d{4})\b", lambda m: _date(m[1], m[2], m[3])),
    (r"\b(\d{1,2})(?:[:.](\d\d))? ?([ap]m)\b", lambda m: f"{_time(m[1], m[2] or '00')} {m[3]}"),
    (r"\b(\d{1,2}):00\b", r"\1 oclock"),
    (r"\b(\d{1,2}):(\d\d)\b", lambda m: _time(m[1], m[2])),
    (r"\b(\d+) +(\d+/\d)", r"\1 and \2"),
    (r"\b(\d+)/(\d+)\b", lambda m: _fraction(int(m[1]), int(m[2]))),
    (r"(?<![\w.])-(?=[\d$£€.])", "minus "),
    (r"\bnegative (?=\d)", "minus "),
    (r"(?<=\d) ?- ?(?=\d)", " to "),
    (
        r"([$£€]) ?(\d[\d.]*(?<=\d)(?: (?:thousand|[mb]illion|trillion)\b)?)",
        lambda m: f"{m[2]} {MONEY[m[1]]}",
    ),
    (r"° ?c\b", " degrees celsius"),
    (r"° ?f\b", " degrees fahrenheit"),
    (r"°", " degrees"),
    (r"%", " percent "),
    (r"(?<!\d)\.(?=\d)", "0."),
    (r"(?<=[a-z])\.(?=[a-z])", " dot "),
    (r"\.(?!\d)|[^\w.]", " "),
    (r"(?<=\d)(?!(?:st|nd|rd|th|s)\b)(?=[a-z])", " "),
]
ORDER: list[Rule] = [
    (r"(\d+)\.(\d\d) (dollar|pound|euro)s\b", r"\1 \3s \2"),
    (r"(\d+) (dollar|pound|euro)s?(?: and)? (\d\d?)\b(?: cents?\b| pence\b)?",
     lambda m: f"{m[1]} {m[2]} {int(m[3]) or ''}" if m[1] != "0" else f"{int(m[3])} cent"),
    *((rf"(?<=\d ){short}\b", name) for short, name in MEASURES.items()),
    (rf"(?<=\d )({'|'.join(sorted(COUNTED))})s\b", r"\1"),
    (rf"\b(?:the )?(\d\d?)(?:st|nd|rd|th)? (?:of )?{_MONTH}\b", r"\2 \1th"),
    (rf"\b{_MONTH} (?:the )?(\d\d?)(?:st|nd|rd|th)?(?![\w.])", r"\1 \2th"),
    (r"(?<=\d )fourths\b", "quarters"), (r"\b1 4th\b", "1 quarter"), (r"\ba (?=quarter\b|3rd\b)", "1 "),
    (r"\b(?:1|a) half\b|\bhalf an?\b", "half"), (r"\b(\d+) and half\b", r"\1.5"),
]  # fmt: skip


def normalize(text: str) -> list[str]:
    """The words of `text` as the ear gets them, for counting word errors."""
    text = unicodedata.normalize("NFKD", re.sub(r"(?=[¼½¾⅓⅔⅛])", " ", text)).replace("⁄", "/")
    text = re.sub(r"[\u0300-\u036f]", "", text)
    text = re.sub(r"[‘’]", "'", re.sub(r"[‐-―−]", "-", text))
    text = apply(SIGNS, apply(LETTERS, apply(WRITTEN, text).lower()))
    text = apply(ORDER, " ".join(in_digits(text.split())))
    return [spoken for word in text.split() for spoken in in_words(word)]


def apply(rules: list[Rule], text: str) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text


def _date(month: str, day: str, year: str) -> str:
    if int(month) > 12:
        month, day = day, month
    return f"{MONTHS[int(month) - 1]} {int(day)} {year}" if 0 < int(month) <= 12 else f"{month} {day} {year}"


def _time(hour: str, minute: str) -> str:
    if minute == "00":
        return f"{int(hour)}"
    return f"{int(hour)} {minute}" if minute >= "10" else f"{int(hour)} {minute[0]} {minute[1]}"


def _fraction(top: int, bottom: int) -> str:
    if bottom not in PARTS or top >= bottom:
        return f"{top} {bottom}"
    return f"{top} {PARTS[bottom]}{'s' if top > 1 else ''}"
