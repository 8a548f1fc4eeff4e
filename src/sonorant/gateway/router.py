"""From the model name in a request to the replica that answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set

from sonorant.errors import FailedModelError, NotReadyError, UnknownModelError, UnsupportedError
from sonorant.tasks import Described, Quality, Replica, State, Task
from sonorant.text.fitting import all_fitting

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
"""OpenAI's model names. Each stands for a served model of its task that fits the request, as does ""."""

ENDPOINTS: Mapping[Task, str] = {
    Task.SPEECH: "POST /v1/audio/speech",
    Task.TRANSCRIPTION: "POST /v1/audio/transcriptions",
    Task.VOCODING: "POST /v1/audio/vocodings",
}


TYPICAL: Mapping[Task, float] = {Task.SPEECH: 100.0, Task.TRANSCRIPTION: 10.0, Task.VOCODING: 10.0}
"""characters, and seconds of audio, for which costs are compared"""

Able = Callable[[Described], bool]


def _any(_: Described) -> bool:
    return True


class Router:
    """The served models, by name. A model's own name comes before an alias of the same spelling."""

    def __init__(self, replicas: Sequence[Replica]) -> None:
        self.replicas = list(replicas)
        """always the same list: who holds it sees what is served now"""
        self._by_name = {replica.name: replica for replica in self.replicas}
        self._joining: set[str] = set()
        """those that came later and have not loaded yet: nobody is sent to them who did not name them"""

    def serve(self, replicas: Sequence[Replica]) -> None:
        """These from now on. Who has been sent to another still has it."""
        self._joining &= {replica.name for replica in replicas}
        self._joining |= {replica.name for replica in replicas} - self._by_name.keys()
        self.replicas[:] = replicas
        self._by_name = {replica.name: replica for replica in replicas}

    def find(
        self,
        name: str,
        task: Task | None = None,
        languages: Set[str] = frozenset(),
        *,
        translating: bool = False,
        quality: Quality | None = None,
        able: Able = _any,
    ) -> Replica:
        """The replica that `name` means, whatever its state.

        An alias means one that knows `languages`, as `fitting` says, and can translate where that is asked.
        `quality` chooses among those: FAST means the one that costs least, HIGH the one that costs most,
        as cost is all that is measured of every model; only of those that have been measured and, as `able`
        says, can do all that the request asks for.

        Raises UnknownModelError, or UnsupportedError where the model does another task than `task`.
        """
        replica = self._by_name.get(name)
        meant = ALIASES.get(name) if name else task
        replica = replica or self._meant(meant, languages, translating, quality, able)
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

    def choose(
        self,
        name: str,
        task: Task,
        languages: Set[str] = frozenset(),
        *,
        translating: bool = False,
        quality: Quality | None = None,
        able: Able = _any,
    ) -> Replica:
        """The replica that `name` means, ready to work.

        Raises as `find` does; NotReadyError while it loads, FailedModelError where it failed.
        """
        replica = self.find(name, task, languages, translating=translating, quality=quality, able=able)
        match replica.state:
            case State.READY | State.RESTARTING | State.UNLOADED:
                return replica
            case State.LOADING:
                raise NotReadyError(f"{replica.name} is still loading", remedy="Try again in a few seconds")
            case State.FAILED:
                raise FailedModelError(f"{replica.name} cannot be used", why=replica.reason)
            case State.STOPPED:
                raise NotReadyError(f"{replica.name} has been stopped", remedy="The server is shutting down")

    def _meant(
        self,
        task: Task | None,
        languages: Set[str],
        translating: bool,
        quality: Quality | None,
        able: Able,
    ) -> Replica | None:
        """Of a task the one that fits, of those that have not failed; a failure explains itself."""
        of_task = [replica for replica in self.replicas if replica.task is task]
        self._joining -= {r.name for r in of_task if r.state is not State.LOADING}
        of_task = [r for r in of_task if r.name not in self._joining] or of_task
        usable = [replica for replica in of_task if replica.state not in (State.FAILED, State.STOPPED)]
        if translating:  # whether a model that is loading will be able to is not known yet
            usable = [r for r in usable if r.state is State.LOADING or r.describe().translation] or usable
        if candidates := usable or of_task:
            listening = task is Task.TRANSCRIPTION
            fit = all_fitting(candidates, lambda r: r.describe().languages, languages, listening=listening)
            return _of_quality(fit, quality, able)
        return None


def _of_quality(fit: Sequence[Replica], quality: Quality | None, able: Able) -> Replica:
    """The first of `fit`, or the cheapest or dearest of those that work now and can do what is asked."""
    if quality not in (Quality.FAST, Quality.HIGH):
        return fit[0]
    costs: dict[float, Replica] = {}
    for replica in fit:
        described = replica.describe()
        if replica.state is State.READY and described.cost is not None and able(described):
            costs.setdefault(described.cost.of(TYPICAL[replica.task]), replica)
    if not costs:
        return fit[0]
    return costs[min(costs) if quality is Quality.FAST else max(costs)]


def _quoted(name: str) -> str:
    return repr(name if len(name) <= 80 else name[:80] + "…")
