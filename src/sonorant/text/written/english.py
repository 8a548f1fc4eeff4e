"""Figures and signs in English text, as people read them, before a grammar reads the plain numbers.

What hibari-tts's grammar (a port of misaki's) and wetext's read right is left to them: times, dates, roman
numerals behind the words that they follow, abbreviations, years, units.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from sonorant.text.written import addresses, emoji

_AMOUNT = r"(\d+(?:,\d{3})*)(?:\.(\d+))?"
_CURRENCIES = {
    "$": ("dollar", "cent"), "US$": ("US dollar", "cent"), "A$": ("Australian dollar", "cent"),
    "C$": ("Canadian dollar", "cent"), "HK$": ("Hong Kong dollar", "cent"), "€": ("euro", "cent"),
    "£": ("pound", "penny"), "₹": ("rupee", "paisa"), "¥": ("yen", ""), "₩": ("won", ""),
}  # fmt: skip
_CODES = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥", "INR": "₹", "AUD": "A$", "CAD": "C$"}
_SCALES = {
    "k": "thousand",
    "m": "million",
    "mn": "million",
    "b": "billion",
    "bn": "billion",
    "tn": "trillion",
}
_INVARIABLE = {"yen": "yen", "won": "won", "penny": "pence", "paisa": "paise"}
_PARTS = {
    2: "half", 3: "third", 4: "quarter", 5: "fifth", 6: "sixth", 7: "seventh", 8: "eighth", 9: "ninth",
    10: "tenth", 12: "twelfth", 16: "sixteenth", 32: "thirty-second", 64: "sixty-fourth", 100: "hundredth",
}  # fmt: skip
_MEASURES = {
    "m²": "square meter", "km²": "square kilometer", "cm²": "square centimeter", "ft²": "square foot",
    "m³": "cubic meter", "cm³": "cubic centimeter", "m/s": "meter per second", "mg/dL": "milligram per deciliter",
    "MB/s": "megabyte per second", "GB/s": "gigabyte per second", "W": "watt", "V": "volt", "mL": "milliliter",
    "L": "liter", "dB": "decibel", "m": "meter", "g": "gram",
}  # fmt: skip
_DECADES = [
    "tens",
    "twenties",
    "thirties",
    "forties",
    "fifties",
    "sixties",
    "seventies",
    "eighties",
    "nineties",
]
_MEASURED = "inch|inches|cup|cups|mile|miles|hour|hours|teaspoon|tablespoon|pound|pounds|of|in\\."
_NAMES_OF_CODES = (
    r"code|PIN|pin|OTP|password|passcode|order|account|tracking|serial|reference|confirmation|invoice|ticket|zip"
    r"|ZIP|postcode|extension|ID|number|no\.|No\."
)


def said(text: str) -> str:
    """English text with words for what grammars of plain numbers do not read as people do."""
    text = addresses.said(emoji.named(text, "en"), "en")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _telephone(match: re.Match[str]) -> str:
    """Digit by digit, with a breath between the groups."""
    groups = re.findall(r"\d+", match[0])
    return ("plus " if match[0][0] == "+" else "") + ", ".join(" ".join(group) for group in groups)


def _money(match: re.Match[str]) -> str:
    sign, whole, decimals, scale = match.groups()
    return _amount(sign, whole, decimals, scale)


def _money_behind(match: re.Match[str]) -> str:
    whole, decimals, scale, code = match.groups()
    return _amount(_CODES.get(code, code), whole, decimals, scale)


def _amount(sign: str, whole: str, decimals: str | None, scale: str | None) -> str:
    name, small = _CURRENCIES[sign]
    if scale:
        number = f"{whole}.{decimals}" if decimals else whole
        return f"{number} {_SCALES.get(scale.lower(), scale)} {_counted(name, '2')}"
    if decimals and (len(decimals) != 2 or not small):
        return f"{whole}.{decimals} {_counted(name, '2')}"
    cents = str(int(decimals or "0"))
    told = [f"{whole} {_counted(name, whole)}"] if whole != "0" or cents == "0" else []
    told += [f"{cents} {_counted(small, cents)}"] if cents != "0" else []
    return " and ".join(told)


def _counted(name: str, number: str) -> str:
    if number == "1" or not name:
        return name
    return _INVARIABLE.get(name) or (
        "feet".join(name.rsplit("foot", 1)) if name.endswith("foot") else f"{name}s"
    )


def _fraction(match: re.Match[str]) -> str:
    whole, above, below = match.groups()
    part = _PARTS[int(below)]
    if part == "half":
        told = "a half" if whole else "one half"
    else:
        told = f"{above} {part}{'' if above == '1' else 's'}"
    return f"{whole} and {told}" if whole else told


def _plain_fractions(match: re.Match[str]) -> str:
    return " " * match[0][0].isdigit() + unicodedata.normalize("NFKC", match[0][-1]).replace("⁄", "/")


def _measured(match: re.Match[str]) -> str:
    name, per, rest = _MEASURES[match[2]].partition(" per ")
    return f"{match[1]} {_counted(name, match[1])}{per}{rest}"


def _whole_code(match: re.Match[str]) -> str:
    return match[1] + " ".join(match[2])


Rule = tuple[str, str | Callable[[re.Match[str]], str]]

_SIGNS = "|".join(re.escape(sign) for sign in sorted(_CURRENCIES, key=len, reverse=True))
_SCALE = r"(?: ?(hundred|thousand|million|billion|trillion|tn|bn|mn|[kKmMbB])(?![A-Za-z]))?"
_UNIT = "|".join(re.escape(unit) for unit in sorted(_MEASURES, key=len, reverse=True))
_BELOW = "|".join(str(number) for number in sorted(_PARTS, reverse=True))

_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in list[Rule](
        [
            (r"\d?[¼½¾⅓⅔⅛⅜⅝⅞]", lambda match: match[0][:-1] + _plain_fractions(match)),
            (r"^\W*([A-Z])([A-Z])\W*$", r"\1.\2."),  # MU in 乘坐MU5101
            (r"(?<![\w.])\.(?=\d)", "0."),
            (r"(?<=[a-z] )A(?=[\s,.;:!?]|$)(?![.]\w)\.?", "A."),  # vitamin A, no article
            # numbers that are said figure by figure
            (
                r"(?<![\w.-])(?=[0-9a-f-]*\d)(?=[0-9a-f-]*[a-f])[0-9a-f]{7,40}(?:-[0-9a-f]{4,12})*(?![\w-])",
                lambda match: ", ".join(addresses.spelled(part) for part in match[0].split("-")),
            ),
            (r"(?<![\w.-])\+\d{1,3}(?:[ .-]?\(?\d{2,5}\)?){2,5}(?!\w)", _telephone),
            (r"(?<![\w.-])(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4}(?![\w-])", _telephone),
            (r"(?<![\w.-])\d{3}-\d{4}(?![\w-])", _telephone),
            (rf"(\b(?:{_NAMES_OF_CODES})(?: is| number|:| #|#)* )(\d{{5,}})(?![\d,.]\d)", _whole_code),
            (r"(\bPIN(?: is| code|:)* )(\d{4})(?!\d)", _whole_code),
            (r"(?<![\w.,:$€£/-])(?:0\d+|\d{7,}(?<!000))(?![\w:/-]|[.,]\d)", lambda match: " ".join(match[0])),
            (
                r"\b(CO|NO|SO|CH|NH|SiO|TiO|O)(\d)\b",
                lambda match: f"{addresses.spelled(match[1])} {match[2]}",
            ),
            (r"(?<![\w.])v(?=\d)", "version "),
            (r"(?<=[Vv]ersion )(\d+)\.(\d+)(?!\.?\d)", r"\1 point \2"),
            (r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.])", lambda match: match[0].replace(".", " dot ")),
            (r"(?<![\d.])\d+(?:\.\d+){2,}(?!\.?\d)", lambda match: match[0].replace(".", " point ")),
            # money
            (rf"(?:{_SIGNS})?(\d+(?:\.\d+)?) ?[-–—] ?({_SIGNS})(?=\d)", r"\1 to \2"),
            (rf"({_SIGNS})(\d+) ?[-–—] ?(\d+)(?![\d.])", r"\2 to \1\3"),
            (rf"({_SIGNS}) ?{_AMOUNT}{_SCALE}", _money),
            (rf"(?<![\w.]){_AMOUNT}{_SCALE} ({'|'.join(_CODES)})\b", _money_behind),
            (rf"(?<![\w.]){_AMOUNT}{_SCALE} ?([$€£])(?!\w)", _money_behind),
            (r"(?<=[a-z])/(?=(?:month|mo|year|yr|week|day|hour|night|person)\b)", " per "),
            # measures, ranges, fractions
            (rf"(?<![\w.])(\d+(?:,\d{{3}})*(?:\.\d+)?) ?({_UNIT})(?![\w/²³])", _measured),
            (r"(?<![\d.-])(\d+(?:\.\d+)?)[-–](\d+(?:\.\d+)?)(?= ?[%°]| [a-z])", r"\1 to \2"),
            (r"(?<=(?:nd|rd|st|th|am|pm))[-–](?=\d)|(?<=:\d\d)[-–](?=\d)", " to "),
            (r"(?<=\d) [-−] (?=\d)", " minus "),
            (r"(?<![\w)])−(?=\d)", "-"),
            (r"(?<![\w./])(\d+) (\d+)/(" + _BELOW + r")(?![\w/]|\.\d)", _fraction),
            (rf"(?<![\w./])()(\d+)/({_BELOW})(?= (?:{_MEASURED})\b)", _fraction),
            (r"(?<![\w./])()([1-9])/([2-9]|10)(?=[.,;:!?]?(?:\s|$))", _fraction),
            (r"(?<![\w./])(24|50)/(7|50)(?![\w/])", r"\1 \2"),
            (r"(?<![\d:.])(\d+):(\d|1\d(?= ratio\b)|9)(?![\d:])", r"\1 to \2"),
            (r"(?<=\d)x(?=\d)", " by "),
            (r"(?<=\d)'(?=\d{1,2}\")(\d+)\"", r" foot \1"),
            (r"(?<![\d.])(1[1-9]|20)([1-9])0s\b", lambda match: f"{match[1]} {_DECADES[int(match[2]) - 1]}"),
            (r"(?<![\w.])(\d+(?:\.\d+)?)[eE]-(\d+)\b", r"\1 times 10 to the minus \2"),
            (r"(?<![\w.])(\d+(?:\.\d+)?)[eE]\+?(\d+)\b", r"\1 times 10 to the \2"),
        ]
    )
]
