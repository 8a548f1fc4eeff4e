"""Logs: one set-up for every process, the request's id in every line, and no word of a user unless asked for.

Our own lines hold none. What may quote a user (the message of an exception, the lines of other libraries) is
left out of what is logged while a request is served; `log.text = true` puts it in.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from datetime import UTC, datetime
from types import TracebackType
from typing import TextIO

from sonorant.errors import RequestError, SonorantError
from sonorant.observe.context import request_id
from sonorant.settings import LogSettings

log = logging.getLogger(__name__)

OURS = "sonorant"
LEFT_OUT = "left out, as it may quote a user; log.text = true shows it"

_words = False


def configure(settings: LogSettings, process: str = "gateway", stream: TextIO | None = None) -> None:
    """Send all logs of this process to standard error (or `stream`), in place of where they went.

    `process` names it in each line of JSON. Other libraries are heard from WARNING on.
    """
    global _words
    _words = settings.text
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Json(process) if settings.format == "json" else _Text())
    root = logging.getLogger()
    for old in root.handlers[:]:
        root.removeHandler(old)
    root.addHandler(handler)
    level = settings.level.upper()
    root.setLevel(level if settings.text else max(logging.WARNING, logging.getLevelName(level)))
    logging.getLogger(OURS).setLevel(level)
    if settings.text:
        log.warning("log.text is on: what users say and write stands in this log")


def words(logger: logging.Logger, message: str, *users: object) -> None:
    """Log what a user said or wrote, where the operator allows that."""
    if _words:
        logger.info(message, *users)


class _Line(logging.Formatter):
    """What a line says, without what may quote a user."""

    def said(self, record: logging.LogRecord) -> str:
        ours = record.name == OURS or record.name.startswith(f"{OURS}.")
        if ours or _words or not request_id.get():
            return record.getMessage()
        return f"{record.name} says something at {record.module}:{record.lineno} ({LEFT_OUT})"

    def formatException(self, ei: _Raised) -> str:  # noqa: N802
        error = ei[1]
        if error is None or _words or not request_id.get():
            return super().formatException(ei)
        return "\n".join(self._discreet(error)).rstrip()

    def _discreet(self, error: BaseException) -> list[str]:
        """A traceback with the types of its exceptions, and those messages that are for the operator."""
        lines: list[str] = []
        cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
        if cause is not None:
            lines += [*self._discreet(cause), "", "which led to:", ""]
        lines += [line.rstrip("\n") for line in traceback.format_tb(error.__traceback__)]
        ours = isinstance(error, SonorantError) and not isinstance(error, RequestError)
        return [*lines, f"{type(error).__qualname__}: {error if ours else LEFT_OUT}"]


_Raised = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


class _Text(_Line):
    """For people: time, level, message, and the request it belongs to."""

    def format(self, record: logging.LogRecord) -> str:
        line = f"{self.formatTime(record)} {record.levelname} {self.said(record)}"
        if request := request_id.get():
            line += f" [{request}]"
        return "\n".join([line, self.formatException(record.exc_info)] if record.exc_info else [line])


class _Json(_Line):
    """For programs: one object a line. `extra={"fields": {…}}` of a call become members."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self.process = process

    def format(self, record: logging.LogRecord) -> str:
        members: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "process": self.process,
            "message": self.said(record),
        }
        if request := request_id.get():
            members["request_id"] = request
        members |= getattr(record, "fields", {})
        if record.exc_info:
            members["exception"] = self.formatException(record.exc_info)
        return json.dumps(members, ensure_ascii=False, default=str)
