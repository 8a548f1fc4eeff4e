"""Token ids → text, from tokenizer.bin or tokenizer.json (SentencePiece BPE with byte fallback)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path

from sonorant.errors import ModelFileError

BEGIN, END = 1, 2
"""<s>, </s>"""

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_SPECIAL = re.compile(rb"<[^<>]+>|<<ST_\d+>>")


class Tokenizer:
    """`pieces[id]` are the bytes that a token stands for."""

    def __init__(self, path: Path) -> None:
        try:
            self.pieces = _read_json(path) if path.suffix == ".json" else _read_bin(path.read_bytes())
        except (OSError, ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
            raise ModelFileError(
                f"{path.name} is not a Moonshine tokenizer",
                why=str(error) or "it breaks off",
                remedy="Pull the model again with `sonorant pull NAME --force`",
            ) from error
        self._ids = {piece: i for i, piece in enumerate(self.pieces)}
        """of those that are there twice, such as a byte and its character, the later one: the character"""
        self._silent = {i for i, piece in enumerate(self.pieces) if _SPECIAL.fullmatch(piece)}

    def decode(self, ids: Iterable[int]) -> str:
        """The text of `ids`, without control tokens; base's network knows ids that no piece stands for."""
        known = range(len(self.pieces))
        joined = b"".join(self.pieces[i] for i in ids if i in known and i not in self._silent)
        return joined.decode("utf-8", errors="replace").replace("▁", " ").strip()

    def encode(self, text: str) -> list[int]:
        """The tokens of `text`, word by word: pairs are joined that make the lowest id first, as the ids of
        byte pair encoding are the order in which it was learned; what no piece has is said by its bytes."""
        return [token for word in text.split() for token in self._word("▁" + word)]

    @property
    def always(self) -> frozenset[int]:
        """Tokens that no text goes without: what begins and ends it, bytes and characters."""
        return frozenset({0, BEGIN, END}) | {i for i, p in enumerate(self.pieces) if _single(p)}

    def _word(self, word: str) -> list[int]:
        parts: list[bytes] = []
        for character in word:
            whole = character.encode()
            parts += [whole] if whole in self._ids else [bytes([byte]) for byte in whole]
        none = len(self.pieces)
        while len(parts) > 1:
            joined = [self._ids.get(a + b, none) for a, b in pairwise(parts)]
            best = min(joined)
            if best == none:
                break
            at = joined.index(best)
            parts[at : at + 2] = [self.pieces[best]]
        return [self._ids.get(part, 0) for part in parts]


def _single(piece: bytes) -> bool:
    """Whether it is a byte or a character."""
    return len(piece) == 1 or len(piece.decode("utf-8", errors="replace")) == 1


def _read_bin(data: bytes) -> list[bytes]:
    """Each piece behind its length: one byte, or for 128 and more two (low 7 bits first)."""
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        length = data[at]
        at += 1
        if length >= 128:
            length = data[at] * 128 + length - 128
            at += 1
        if at + length > len(data):
            raise ValueError("it breaks off inside a piece")
        pieces.append(data[at : at + length])
        at += length
    if len(pieces) <= END:
        raise ValueError("it holds no pieces")
    return pieces


def _read_json(path: Path) -> list[bytes]:
    """Hugging Face's tokenizers format, `model.vocab`: piece → id."""
    tree = json.loads(path.read_text(encoding="utf-8"))
    vocabulary: dict[str, int] = dict(tree["model"]["vocab"])
    vocabulary.update({token["content"]: token["id"] for token in tree.get("added_tokens", [])})
    pieces = [b""] * (max(vocabulary.values()) + 1)
    for piece, index in vocabulary.items():
        byte = _BYTE.fullmatch(piece)
        pieces[index] = bytes.fromhex(byte.group(1)) if byte else piece.encode()
    return pieces
