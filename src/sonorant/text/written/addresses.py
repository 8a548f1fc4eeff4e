"""Web and e-mail addresses, handles, hashtags and file names, as they are read out."""

from __future__ import annotations

import re

_END = r"(?<![.,:;!?'])"
"""punctuation behind an address belongs to the sentence"""
_DOMAIN = (
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?\.)+"
    r"(?:com|org|net|edu|gov|int|info|dev|app|xyz|tech|cloud|shop|blog|site|online|wiki|news"
    r"|ac|ai|au|be|br|ca|cc|ch|cn|co|de|es|eu|fm|fr|gg|hk|in|io|it|jp|kr|ly|me|mx|nl|nz|pl|pt|ru|se|sg|so"
    r"|tv|tw|uk|us)(?![A-Za-z0-9])"
)
_FILE = (
    r"[A-Za-z0-9_][A-Za-z0-9_-]*\.(?:md|py|txt|pdf|docx?|xlsx?|pptx?|csv|json|ya?ml|toml|xml|html?|css|js|ts|sh"
    r"|zip|tar|gz|exe|dmg|iso|jpe?g|png|gif|svg|webp|mp3|mp4|wav|flac|ogg|onnx)(?![A-Za-z0-9.])"
)
_PATH = r"(?:[/?#][A-Za-z0-9%&+,./:;=?@_~#-]*)?"

EMAIL = r"(?<![A-Za-z0-9._%+-])(?:mailto:)?[A-Za-z0-9][A-Za-z0-9._%+-]*@(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,}"
URL = (
    rf"(?:https?|ftp|wss?)://[A-Za-z0-9%&+,./:;=?@_~#-]+{_END}"
    rf"|(?:www\.)?(?<![A-Za-z0-9@.-]){_DOMAIN}(?::\d+)?{_PATH}{_END}"
)
TAG = r"(?<![A-Za-z0-9_@#&/])[@#][A-Za-z_][A-Za-z0-9_]*"

ADDRESS = rf"{EMAIL}|{URL}|(?<![A-Za-z0-9@./_-]){_FILE}|{TAG}"
"""a pattern without groups"""

SIGNS = {
    "en": ("dot", "slash", "at", "underscore", "dash", "colon", "hashtag"),
    "zh": ("点", "斜杠", "艾特", "下划线", "杠", "冒号", "话题"),
    "es": ("punto", "barra", "arroba", "guion bajo", "guion", "dos puntos", "etiqueta"),
    "fr": ("point", "slash", "arobase", "tiret bas", "tiret", "deux-points", "hashtag"),
    "hi": ("डॉट", "स्लैश", "एट", "अंडरस्कोर", "डैश", "कोलन", "हैशटैग"),
    "it": ("punto", "barra", "chiocciola", "trattino basso", "trattino", "due punti", "hashtag"),
    "ja": ("ドット", "スラッシュ", "アットマーク", "アンダーバー", "ハイフン", "コロン", "ハッシュタグ"),
    "pt": ("ponto", "barra", "arroba", "sublinhado", "hífen", "dois pontos", "hashtag"),
}
"""how . / @ _ - : # are called"""

_ADDRESS = re.compile(ADDRESS)
_UNSAID = re.compile(r"^(?:[a-z]+://|mailto:)?(?:www\.(?=.*\.))?|(?<!^)[?#].*$|/$")
"""what nobody says of an address: how it is fetched, and what stands there for programs"""
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[./@_:#-]")
_SPELLED = re.compile(
    r"(?!(?:an|at|be|by|do|go|in|is|it|my|no|of|on|or|so|to|up|us|we)$)[a-z]{1,2}|[^aeiouy0-9]+|html?|exe|iso|edu"
)


def said(text: str, language: str) -> str:
    """`text` with its addresses in words; languages (primary subtags) without names for the signs: as it is."""
    if language not in SIGNS:
        return text
    signs = dict(zip("./@_-:#", SIGNS[language], strict=True))
    return _ADDRESS.sub(lambda match: _said(match[0], signs), text)


def _said(address: str, signs: dict[str, str]) -> str:
    parts = (part.lower() for part in _PARTS.findall(_UNSAID.sub("", address)))
    return " ".join(
        signs.get(part) or (spelled(part) if _SPELLED.fullmatch(part) else part) for part in parts
    )


def spelled(letters: str) -> str:
    """Letters and figures one by one; "A." since "A" alone is an article."""
    return " ".join("A." if letter == "A" else letter for letter in letters.upper())
