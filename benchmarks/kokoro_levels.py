"""How loud each Kokoro voice is: writes src/sonorant/families/kokoro/levels.json.

    python benchmarks/kokoro_levels.py

Every voice says the same phonemes; its level is the RMS of the 10 ms frames within 20 dB of the loudest.
A sentence that changes the voice in the middle is evened out by these levels.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

import bare
from sonorant.text import english
from sonorant.text.phonemes import pieces

TARGET = Path(__file__).parents[1] / "src/sonorant/families/kokoro/levels.json"
FRAME = 240
TEXT = "Open the window and look at the sea, my friend."


def main() -> None:
    """Measure and write."""
    home = bare.folder("kokoro")
    network = bare.session(home / "kokoro-v1.0.int8.onnx")
    vocabulary = json.loads((home / "vocab.json").read_text(encoding="utf-8"))["vocab"]
    (piece,) = pieces(english.units(TEXT), vocabulary, 510)
    levels = {}
    for path in sorted((home / "voices").glob("*.bin")):
        style = np.fromfile(path, np.float32).reshape(-1, 1, 256)[len(piece.ids)]
        tokens = np.array([[0, *piece.ids, 0]], np.int64)
        audio = network.run(None, {"tokens": tokens, "style": style, "speed": np.ones(1, np.float32)})[0]
        frames = np.sqrt(np.square(audio[: len(audio) // FRAME * FRAME].reshape(-1, FRAME)).mean(1))
        active = frames[frames > 0.1 * frames.max()]
        levels[path.stem] = round(float(np.sqrt(np.square(active).mean())), 4)
    TARGET.write_text(json.dumps(levels, indent=1) + "\n", encoding="utf-8")
    print(f"{len(levels)} voices, {min(levels.values())} to {max(levels.values())}")


if __name__ == "__main__":
    main()
