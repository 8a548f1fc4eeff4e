"""Figures and signs in Chinese text, as people read them, before wetext's grammar reads the plain numbers.

Telephones and codes are read digit by digit, with yāo (幺) for 1 as it is said over a line; 2 of something
is 两, the second of something 二. Where the grammar slips (separators of thousands, decimals that look like
dates, per cent of a range, hours without minutes), the words are put here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

from sonorant.text.written import addresses, emoji

UNITS = {
    "km/h": "公里每小时", "km²": "平方公里", "m²": "平方米", "cm²": "平方厘米", "m³": "立方米",
    "km": "公里", "cm": "厘米", "mm": "毫米", "m": "米", "kg": "千克", "mg": "毫克", "g": "克",
    "mL": "毫升", "ml": "毫升", "L": "升", "kWh": "千瓦时", "kW": "千瓦", "W": "瓦", "mAh": "毫安时", "V": "伏",
    "kHz": "千赫", "MHz": "兆赫", "Hz": "赫兹", "dB": "分贝", "ms": "毫秒", "°C": "摄氏度", "℃": "摄氏度",
    "°F": "华氏度", "KB": " K B", "MB": " M B", "GB": " G B", "TB": " T B",
}  # fmt: skip
UNIT = "|".join(sorted(UNITS, key=len, reverse=True))
CODE = r"[A-Z]-?\d+[A-Z]?(?![A-Za-z0-9]|\.\d)|\d+[A-Z](?![A-Za-z0-9])"
"""A4, G101, 5G"""

_CURRENCIES = {"¥": "元", "￥": "元", "US$": "美元", "HK$": "港元", "$": "美元", "€": "欧元", "£": "英镑"}
_NAMES_OF_CODES = (
    "验证码|密码|口令|订单号?|[单编账帐卡证学工尾]号|序列号|流水号|号码|代码|编码|[提取校激邀识][取件验活请别]码"
    "|邮编|车牌|房间|拨打|致电|热线|电话|短信|QQ"
)
_COUNTED = (
    "次|个|位|名(?!单)|人|只|条|张|件|本|块|年(?!级)|天|周|星期|小时|分钟|秒|岁|米|公里|千米|厘米|毫米|公斤|千克|斤"
    "|克|吨|升|元|毛|角|分(?!之|队|店|部)|门|种|家|间|部|台|辆|架|艘|颗|粒|根|支|把|杯|瓶|碗|盘|包|箱|盒|袋|双|对"
    "|套|份|封|首|句|段|页|行|列|排|座|片|滴|步|遍|趟|场|项|道|棵|朵|头|匹|篇|幅|处|倍|万|千|百|亿|平方|层"
)
"""2 of these is 两"""
_IN_A_ROW = "号|楼|单元|班|栋|幢|环|路|区|中|期|院|年级|月|日|等奖|分之"
"""2 of these is 二"""
_HOUR = r"2点(?!\d*(?:[元%万亿]|[公千毫厘]?[米克升]))"
_TIME_OF_DAY = "凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|夜里|[今明后昨]天|[今明昨]晚|[到至从在于]"
_ABOUT_HOUR = (
    "[0-5]?\\d分|[整半钟过多左前后以之到至开上下出回起集见来去睡叫]|一刻|三刻|[^\\d\u4e00-\u9fff.]|$"
)


def said(text: str) -> str:
    """Chinese text with words for what a grammar of plain numbers does not read as people do."""
    text = addresses.said(emoji.named(_plain(text), "zh"), "zh")
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def _plain(text: str) -> str:
    """Full-width figures and letters, ½ and Ⅳ in their usual form; punctuation stays."""
    text = re.sub(r"(\d?)([¼½¾⅓⅔])", _fraction, text)
    text = re.sub(r"[\u2160-\u216b]", lambda roman: str(ord(roman[0]) - 0x215F), text)
    return re.sub(r"[％＋－０-９Ａ-Ｚａ-ｚ]", lambda wide: unicodedata.normalize("NFKC", wide[0]), text)


def _fraction(match: re.Match[str]) -> str:
    above, below = unicodedata.normalize("NFKC", match[2]).split("⁄")
    return f"{match[1]}又{below}分之{above}" if match[1] else f"{below}分之{above}"


def _digits(number: str, names: str = "零幺二三四五六七八九") -> str:
    return re.sub(r"\d", lambda digit: names[int(digit[0])], number)


def _plain_digits(number: str) -> str:
    return _digits(number, "零一二三四五六七八九")


def _figure(number: str) -> str:
    """A number that the grammar is to read; a single figure is its name, which nothing can change."""
    return _plain_digits(number) if len(number) == 1 else number


def _telephone(match: re.Match[str]) -> str:
    """The groups of a number, with a breath between them."""
    groups = [group for group in match.groups() if group] or re.findall(r"\+?\d+", match[0])
    return "，".join(_digits(group) for group in groups).replace("+", "加")


def _code(match: re.Match[str]) -> str:
    parts = re.findall(r"[A-Z]|\d+", match[0])
    return " ".join(_digits(part) if len(part) > 2 else _figure(part) for part in parts)


def _date(match: re.Match[str]) -> str:
    return f"{match[1]}年{int(match[3])}月{int(match[4])}日"


def _money(match: re.Match[str]) -> str:
    sign, amount, scale = match.groups()
    return f"{re.sub(r'[.]?0+$', '', amount) if '.' in amount else amount}{scale}{_CURRENCIES[sign]}"


def _decimal(match: re.Match[str]) -> str:
    return f"{_figure(match[1])}点{_plain_digits(match[2])}"


Rule = tuple[str, str | Callable[[re.Match[str]], str]]

_DATES: list[Rule] = [
    (r"(?<!\d)((?:19|20)\d\d)([-/.])(1[0-2]|0?[1-9])\2(3[01]|[12]\d|0?[1-9])(?![\d.-])", _date),
    (r"(?<!\d)(?:19|20)\d\d(?= ?[-~～–—至到] ?(?:19|20)\d\d年)", lambda match: _plain_digits(match[0])),
    (rf"(?<![\d.第]){_HOUR}(?={_ABOUT_HOUR})", "两点"),
    (rf"({_TIME_OF_DAY}){_HOUR}", r"\1两点"),
    (r"(?<=\d) +(?=\d{1,2}:\d\d)", "，"),
    (r"(?<!\d)(\d{1,2})·(\d{1,2})(?!\d)", lambda match: _plain_digits(match[1] + match[2])),
]
_CODES: list[Rule] = [
    (r"(?<![\d.])(?:(\+86)[- ]?)?(1[3-9]\d)[- ]?(\d{4})[- ]?(\d{4})(?![\d.])", _telephone),
    (r"(?<![\d.])[(（]?(0\d{2,3})[)）]?[- ]?(\d{3,4})[- ]?(\d{4})(?![\d.])", _telephone),
    (r"(?<![\d.])([48]00)[- ]?(\d{3,4})[- ]?(\d{3,4})(?![\d.])", _telephone),
    (r"\+\d{1,3}(?:[- ]?\d{2,5}){2,5}(?!\d)", _telephone),
    (
        rf"((?:{_NAMES_OF_CODES})[是为：: #]*)(\d{{3,}})(?![\d.]|元|块|个|条|次|位|人|%)",
        lambda match: match[1] + _digits(match[2]),
    ),
    (rf"(?<=\d) ?(?:{UNIT})(?![A-Za-z/])", lambda match: UNITS[match[0].strip()]),
    (r"(?<=[\u4e00-\u9fff])[A-Z][·•]?[A-Z0-9]{5,6}(?![A-Za-z0-9])", _code),  # on a car
    (rf"(?<![A-Za-z0-9.])(?:[A-Z]{{2,3}}-?\d+(?![A-Za-z0-9]|\.\d)|{CODE})", _code),
    (
        r"(?<![\d.])\d{3,4}(?=室|号房|号楼|路(?![口程段])|次(?:航班|列车|车|高铁|动车|快车|特快))|^\d{3,5}(?=\W*$)",
        lambda match: _digits(match[0]),
    ),
    (r"(?<![\d.])\d{7,}(?<!0000)(?![\d.])", lambda match: _digits(match[0])),
    (r"(?<![\d.:：/-])0\d+(?![\d.:：点年月日])", lambda match: _digits(match[0])),
]
_AMOUNTS: list[Rule] = [
    (rf"({'|'.join(map(re.escape, _CURRENCIES))}) ?(\d+(?:\.\d+)?) ?([十百千万亿]*)", _money),
    (r"(\d+(?:\.\d+)?)(公里|千米|米|元|块)(?:每|/)(小时|秒|[\u4e00-\u9fff])", r"每\3\1\2"),
    (r"(\d+(?:\.\d+)?)%? ?[-~～–—至到] ?(\d+(?:\.\d+)?)%", r"百分之\1到\2"),
    (r"(\d+(?:\.\d+)?) ?%", r"百分之\1"),
    (r"(\d+(?:\.\d+)?) ?‰", r"千分之\1"),
    (r"(?<![\d.])(\d+)((?:\.\d+){2,})(?![\d.])", lambda match: "点".join(map(_figure, match[0].split(".")))),
    (r"(?<![\d.])(\d+)\.(\d+)(?![\d.])", _decimal),
    (r"(?<=[\d零一二三四五六七八九]) ?[~～–—] ?(?=\d)|(?<=[零一二三四五六七八九])-(?=\d)", "到"),
    (r"(?<![\d=+×-])(\d+)-(\d+)(?![\d=-])", r"\1到\2"),
    (r"(?<![\w)])-(?=\d)", "负"),
    (rf"(?<![\d.第点又月])2(?={_COUNTED})", "两"),
    (rf"(?<![\d.])2(?={_IN_A_ROW})|(?<=第)2(?!\d)", "二"),
]
_RULES = [
    (re.compile(pattern), replacement)
    for pattern, replacement in [(r"(?<=\d),(?=\d{3}(?!\d))", ""), *_DATES, *_CODES, *_AMOUNTS]
]
