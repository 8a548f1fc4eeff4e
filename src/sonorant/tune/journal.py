"""What was measured, so that it is not measured again: a line of JSON a trial, a file for each set of
circumstances under which figures may be compared."""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from sonorant.errors import RequestError
from sonorant.tune.rows import Trial
from sonorant.tune.space import Candidate

logger = logging.getLogger(__name__)

KEY = 16
"""hexadecimal digits of the circumstances' hash in a file's name"""


class Journal:
    """Trials under one set of circumstances. To be opened by `journal`."""

    def __init__(self, file: Path, trials: list[Trial]) -> None:
        self.file = file
        self._trials = {(trial.candidate, trial.clients, trial.run): trial for trial in trials}

    def __len__(self) -> int:
        return len(self._trials)

    def recall(self, candidate: Candidate, clients: int, run: int) -> Trial | None:
        """A trial that was measured before."""
        return self._trials.get((candidate, clients, run))

    def add(self, trial: Trial) -> None:
        """Write it down at once: what comes next may end this process."""
        self._trials[trial.candidate, trial.clients, trial.run] = trial
        with self.file.open("ab") as stream:
            stream.write(msgspec.json.encode(trial) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())


@contextmanager
def journal(folder: Path, name: str, circumstances: Mapping[str, Any], *, fresh: bool) -> Iterator[Journal]:
    """The journal of a model, for all that decides its figures: another model file, artefact, machine,
    version, load or setting has another. `fresh`: forget what it has.

    Raises RequestError where another process is at it.
    """
    said = json.dumps(circumstances, sort_keys=True, ensure_ascii=False, default=str)
    key = hashlib.sha256(said.encode()).hexdigest()[:KEY]
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{name}-{key}.jsonl"
    with (folder / f"{name}-{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RequestError(
                f"{name} is being tuned already",
                why=f"Another process writes to {file}",
                remedy="Wait until it has ended, or end it",
            ) from error
        if fresh:
            file.unlink(missing_ok=True)
        trials = list(_read(file))
        if not file.exists():
            file.write_text(said + "\n", encoding="utf-8")
        yield Journal(file, trials)


def _read(file: Path) -> Iterator[Trial]:
    """Its trials; what is damaged is left out, so that it is measured again. The first line is for people."""
    if not file.exists():
        return
    data = file.read_bytes()
    if data and not data.endswith(b"\n"):  # a line that was being written when its process was ended
        with file.open("ab") as stream:
            stream.write(b"\n")
    damaged = 0
    for line in data.splitlines()[1:]:
        try:
            yield msgspec.json.decode(line, type=Trial)
        except msgspec.MsgspecError:
            damaged += 1
    if damaged:
        logger.warning("%s: %d damaged lines are left out, and measured again", file, damaged)
