"""Every exception that Sonorant raises, as one tree.

    SonorantError
    ├── RequestError (ValueError)         what was asked cannot be done; the caller can mend it
    │   ├── UnknownModelError             no model of that name is known, or is served here
    │   ├── UnknownVoiceError             the model has no voice of that name
    │   ├── NotFoundError                 no file or batch has that id
    │   ├── UnsupportedError              the model cannot do this part of the request
    │   ├── TextError                     text that is empty, too long, or not text
    │   ├── AudioError                    audio that is empty, damaged, too long, or not audio
    │   ├── LimitError                    more than this server takes (bytes, seconds)
    │   │   └── BusyError                 as much is waiting as may wait; later it can succeed
    │   └── BodyTimeoutError              the body of the request stopped half way
    ├── ModelError                        the model cannot be used; the operator can mend it
    │   ├── ModelFileError (OSError)      a file is missing, damaged, or not what its card says
    │   ├── LayoutError                   a folder that no family recognises
    │   ├── DownloadError (OSError)       no source could deliver a file
    │   └── NotReadyError                 the model is still loading
    │       └── FailedModelError          the model failed to load; asking again does not help
    ├── PassError                         a pass finds nothing in a network that it could change
    ├── StorageError (OSError)            files and batches cannot be kept; the operator can mend it
    ├── SignatureError (ValueError)       a feed does not fit its network's signature
    ├── EngineError (RuntimeError)        the engine failed, or cannot give what was asked of it
    │   ├── LostError                     the model's process ended while it answered
    │   └── QuarantinedError              the request was running at two deaths of the model's process
    ├── SettingsError (ValueError)        a setting is unknown or wrong
    ├── MissingExtraError (ImportError)   an optional dependency is not installed
    └── ServerError (RuntimeError)        a Sonorant server that was asked over HTTP answered with an error

Each carries what happened, why, and what to do next; `str(error)` reads as those sentences, and
`error.localized("zh")` as the same in Chinese.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from sonorant.locale import joined, translated

if TYPE_CHECKING:
    from pathlib import Path


class SonorantError(Exception):
    """What happened, why, and what to do about it.

    `code` is a stable word for programs; `param` names the field of a request that is at fault.
    """

    code = "internal_error"

    def __init__(self, what: str, *, why: str = "", remedy: str = "", param: str | None = None) -> None:
        self.what, self.why, self.remedy, self.param = what, why, remedy, param
        super().__init__(" ".join(self._sentences()))

    def localized(self, language: str) -> str:
        """The same in another language ("zh"); what has no translation stays English."""
        return joined(translated(sentence, language) for sentence in self._sentences())

    def _sentences(self) -> list[str]:
        return [_sentence(part) for part in (self.what, self.why, self.remedy) if part]

    def __reduce__(self) -> tuple[object, ...]:  # keyword arguments survive a process boundary
        return _rebuild, (type(self), self.what, self.why, self.remedy, self.param)


def _rebuild(kind: type[SonorantError], what: str, why: str, remedy: str, param: str | None) -> SonorantError:
    return kind(what, why=why, remedy=remedy, param=param)


def _sentence(text: str) -> str:
    text = text.strip()
    return text if text.endswith((".", "!", "?", "。")) else text + "."


class RequestError(SonorantError, ValueError):
    """What was asked cannot be done; the caller can mend it."""

    code = "invalid_request"


class UnknownModelError(RequestError):
    """No model of that name is known, or is served here."""

    code = "model_not_found"


class UnknownVoiceError(RequestError):
    """The model has no voice of that name."""

    code = "voice_not_found"


class NotFoundError(RequestError):
    """No file or batch has that id."""

    code = "not_found"


class UnsupportedError(RequestError):
    """The model cannot do this part of the request."""

    code = "unsupported"


class TextError(RequestError):
    """Text that is empty, too long, or not text."""

    code = "invalid_text"


class AudioError(RequestError):
    """Audio that is empty, damaged, too long, or not audio."""

    code = "invalid_audio"


class LimitError(RequestError):
    """More than this server takes (bytes, seconds)."""

    code = "limit_exceeded"


class BusyError(LimitError):
    """As much is waiting as may wait; the same request can succeed `retry_after` seconds later."""

    code = "rate_limit_exceeded"

    def __init__(
        self,
        what: str,
        *,
        why: str = "",
        remedy: str = "",
        param: str | None = None,
        retry_after: float = 1.0,
    ) -> None:
        self.retry_after = retry_after
        super().__init__(what, why=why, remedy=remedy, param=param)

    def __reduce__(self) -> tuple[object, ...]:
        again = partial(type(self), why=self.why, remedy=self.remedy, param=self.param)
        return partial(again, retry_after=self.retry_after), (self.what,)


class BodyTimeoutError(RequestError):
    """The body of the request stopped half way."""

    code = "request_timeout"


class ModelError(SonorantError):
    """The model cannot be used; the operator can mend it."""

    code = "model_unavailable"


class ModelFileError(ModelError, OSError):
    """A file is missing, damaged, or not what its card says."""

    code = "model_damaged"


class LayoutError(ModelError):
    """A folder that no family recognises."""

    code = "layout_unknown"


class DownloadError(ModelError, OSError):
    """No source could deliver a file."""

    code = "download_failed"


class NotReadyError(ModelError):
    """The model is still loading."""

    code = "model_not_ready"


class FailedModelError(NotReadyError):
    """The model failed to load; asking again does not help until the operator has mended it."""

    code = "model_failed"


class PassError(SonorantError):
    """A pass does not fit a network: what it looks for is not there."""


class StorageError(SonorantError, OSError):
    """Files and batches cannot be kept; the operator can mend it."""

    code = "storage_unavailable"


class SignatureError(SonorantError, ValueError):
    """A feed does not fit its network's signature."""

    code = "signature_mismatch"


class EngineError(SonorantError, RuntimeError):
    """The engine failed, or cannot give what was asked of it."""

    code = "engine_failed"


class LostError(EngineError):
    """The model's process ended while it answered; what was sent so far is not the whole answer."""

    code = "replica_lost"


class QuarantinedError(EngineError):
    """The request was running at two deaths of the model's process; it is not tried again for a while."""

    code = "quarantined"


class SettingsError(SonorantError, ValueError):
    """A setting is unknown or wrong."""

    code = "invalid_settings"


class MissingExtraError(SonorantError, ImportError):
    """An optional dependency is not installed."""

    code = "missing_extra"


class ServerError(SonorantError, RuntimeError):
    """A Sonorant server that was asked over HTTP answered with an error."""

    code = "server_error"


def unwritable(path: Path, error: OSError, *, param: str | None = None) -> RequestError:
    """What is raised where a file that somebody asked for cannot be written."""
    return RequestError(
        f"{path} cannot be written",
        why=error.strerror or str(error),
        remedy="Choose another place",
        param=param,
    )
