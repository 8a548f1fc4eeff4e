"""Which model it is that speaks, down to its bytes: what is kept of one is never given for another."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

from sonorant import __version__
from sonorant.catalogue import ModelCard
from sonorant.tasks import Pronunciation


def identity(
    card: ModelCard,
    folder: Path | None,
    device: str,
    options: Mapping[str, object],
    lexicon: tuple[Pronunciation, ...],
    prepared: Sequence[str] = (),
) -> str:
    """SHA-256 over what a sound depends on beside the request, 64 hexadecimal digits.

    `prepared`: the artefacts that stand for its files, by their bytes. A `folder` of the user's
    is known by the sizes and times of its files, as nobody has hashed them.
    """
    files = [[file.name, file.sha256] for file in card.files] if folder is None else list(_stamps(folder))
    words = [asdict(word) for word in lexicon]
    model = [card.family, card.name, card.revision, card.parts]
    parts = [__version__, model, files, device, dict(options), words, list(prepared)]
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def _stamps(folder: Path) -> Iterator[list[str | int]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            stat = path.stat()
            yield [str(path.relative_to(folder)), stat.st_size, stat.st_mtime_ns]
