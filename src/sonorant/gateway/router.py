"""From the model name in a request to the replica that answers it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set

from sonorant.errors import FailedModelError, NotReadyError, UnknownModelError, UnsupportedError
from sonorant.tasks import Replica, State, Task
from sonorant.text.languages import knows_all

ALIASES: Mapping[str, Task] = {
    "tts-1": Task.SPEECH,
    "tts-1-hd": Task.SPEECH,
    "gpt-4o-mini-tts": Task.SPEECH,
    "gpt-4o-mini-tts-2025-12-15": Task.SPEECH,
    "whisper-1": Task.TRANSCRIPTION,
    "gpt-transcribe": Task.TRANSCRIPTION,
    "gpt-4o-transcribe": Task.TRANSCRIPTION,
    "gpt-4o-mini-transcribe": Task.TRANSCRIPTION,
    "gpt-4o-mini-transcribe-2025-12-15": Task.TRANSCRIPTION,
}
"""OpenAI's model names. Each stands for the first served model of its task, as does ""."""

ENDPOINTS: Mapping[Task, str] = {
    Task.SPEECH: "POST /v1/audio/speech",
    Task.TRANSCRIPTION: "POST /v1/audio/transcriptions",
}


class Router:
    """The served models, by name. A model's own name comes before an alias of the same spelling."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = tuple(replicas)
        self._by_name = {replica.name: replica for replica in self.replicas}

    def find(self, name: str, task: Task | None = None, languages: Set[str] = frozenset()) -> Replica:
        """The replica that `name` means, whatever its state. An alias means one that knows `languages`.

        Raises UnknownModelError, or UnsupportedError where the model does another task than `task`.
        """
        replica = self._by_name.get(name) or self._first(ALIASES.get(name) if name else task, languages)
        if replica is None:
            raise UnknownModelError(
                f"No model {_quoted(name)} is served here" if name else f"No {task} model is served here",
                why=f"Served are: {', '.join(self._by_name) or 'none'}",
                remedy="Name one of them, or let the operator add the model to `models`",
                param="model",
            )
        if task is not None and replica.task is not task:
            known = ENDPOINTS.get(replica.task)
            raise UnsupportedError(
                f"{_quoted(name)} does {replica.task}, not {task}",
                remedy=f"Send it to {known}" if known else "Choose another model",
                param="model",
            )
        return replica

    def choose(self, name: str, task: Task, languages: Set[str] = frozenset()) -> Replica:
        """The replica that `name` means, ready to work.

        Raises as `find` does; NotReadyError while it loads, FailedModelError where it failed.
        """
        replica = self.find(name, task, languages)
        match replica.state:
            case State.READY:
                return replica
            case State.LOADING:
                raise NotReadyError(f"{replica.name} is still loading", remedy="Try again in a few seconds")
            case State.FAILED:
                raise FailedModelError(f"{replica.name} cannot be used", why=replica.reason)
            case State.STOPPED:
                raise NotReadyError(f"{replica.name} has been stopped", remedy="The server is shutting down")

    def _first(self, task: Task | None, languages: Set[str]) -> Replica | None:
        """The first of a task that has not failed; else the first, whose failure explains itself.

        Those that know all of `languages` come before the others.
        """
        of_task = [replica for replica in self.replicas if replica.task is task]
        usable = [replica for replica in of_task if replica.state in (State.READY, State.LOADING)]
        wanted = languages - {""}
        able = [r for r in usable if wanted and knows_all(wanted, r.describe().languages)]
        return next(iter(able or usable or of_task), None)


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:80] + "…")
