"""Downloading a file over HTTP: going on where an earlier try stopped, and giving up on silent hosts."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from sonorant.catalogue.part import Part, WrongBytes
from sonorant.catalogue.sources import Fetch, SourceFailed

_SLOWEST = 16 * 1024  # bytes a second; a host that sends less is as good as silent
_GRACE = 60.0  # seconds
_TOO_SLOW = f"sent less than {_SLOWEST // 1024} KiB a second"

_skipped: dict[str, str] = {}
"""hosts that were silent or refused in this run of the process → what they did"""


class _BrokenOff(SourceFailed):
    """The connection ended before the file did."""


def fetch(way: Fetch, part: Part, timeout: float) -> None:
    """Download the file into `part` and check it.

    A host that stays silent for `timeout` seconds, that cannot be reached or that turns everyone
    away is not asked again by this process. Raises SourceFailed with the reason.
    """
    resumed = part.size > 0
    deadline = time.monotonic() + _GRACE + part.file.size / _SLOWEST
    try:
        _download(way, part, timeout, deadline)
    except WrongBytes:
        if not resumed:
            raise
        _download(way, part, timeout, deadline)  # what was here before may have been the wrong half


@contextmanager
def opened(way: Fetch, timeout: float) -> Iterator[httpx.Response]:
    """One GET request and its answer, whose status is not yet looked at.

    What goes wrong while it is open is raised as SourceFailed; hosts are given up on as by `fetch`.
    """
    host = urlsplit(way.url).netloc
    if host in _skipped:
        raise SourceFailed(f"{_skipped[host]} before, so it was skipped")
    headers = {"Accept-Encoding": "identity", "User-Agent": "sonorant", **way.headers}
    try:
        if not way.proxy:
            _resolve(way.url, timeout)
        with (
            httpx.Client(
                timeout=timeout, follow_redirects=True, verify=_trust(way), proxy=way.proxy or None
            ) as client,
            client.stream("GET", way.url, headers=headers) as response,
        ):
            yield response
    except (httpx.TimeoutException, TimeoutError):
        raise _skip(host, f"was silent for {timeout:g} s") from None
    except (httpx.ConnectError, httpx.ProxyError, socket.gaierror) as error:
        raise _skip(host, f"could not be reached ({error})") from error
    except httpx.HTTPError as error:
        raise _BrokenOff(f"broke off ({error})") from error
    except (ImportError, ValueError, httpx.InvalidURL) as error:  # a proxy that httpx cannot use
        raise SourceFailed(f"cannot be asked: {error}") from error


def accept(way: Fetch, response: httpx.Response, hint: str) -> None:
    """Raise SourceFailed unless the answer is a success. `hint` says what a refusal may lack."""
    status = f"{response.status_code} {response.reason_phrase}"
    if response.status_code in (401, 403):
        raise SourceFailed(f"refused with {status}; {hint}")
    if response.status_code == 429 or response.status_code >= 500:
        raise _skip(urlsplit(way.url).netloc, f"refused with {status}")
    if response.status_code not in (200, 206):
        raise SourceFailed(f"answered {status}")


def paced(way: Fetch, response: httpx.Response, most: int) -> Iterator[bytes]:
    """The body as it was sent, of unknown length; a slow host or more than `most` bytes is refused."""
    start = time.monotonic()
    for block in response.iter_raw():
        if response.num_bytes_downloaded > most:
            raise SourceFailed(f"sent more than {most >> 20} MiB")
        if time.monotonic() > start + _GRACE + response.num_bytes_downloaded / _SLOWEST:
            raise _skip(urlsplit(way.url).netloc, _TOO_SLOW)
        yield block


def _download(way: Fetch, part: Part, timeout: float, deadline: float) -> None:
    while part.size < part.file.size:
        before = part.size
        try:
            _request(way, part, timeout, deadline)
        except _BrokenOff:
            if part.size <= before:  # as long as it brings something, go on
                raise
    part.check()


def _request(way: Fetch, part: Part, timeout: float, deadline: float) -> None:
    """One request for the bytes that are missing."""
    if part.size:
        way = replace(way, headers={**way.headers, "Range": f"bytes={part.size}-"})
    try:
        with opened(way, timeout) as response:
            if response.status_code == 416 and part.size:  # it cannot go on from here: begin again
                part.restart()
                return
            _accept_file(way, response, part)
            for block in response.iter_bytes():
                part.write(block)
                if time.monotonic() > deadline:
                    raise _skip(urlsplit(way.url).netloc, _TOO_SLOW)
    except _BrokenOff as error:
        raise _BrokenOff(f"{error} after {part.size} of {part.file.size} bytes") from error
    if part.size < part.file.size:
        raise _BrokenOff(f"ended after {part.size} of {part.file.size} bytes")


def _accept_file(way: Fetch, response: httpx.Response, part: Part) -> None:
    """Make `part` ready for the body, or raise SourceFailed if it cannot be the file."""
    accept(way, response, "a gated model needs HF_TOKEN")
    if response.headers.get("content-type", "").startswith("text/html"):
        raise SourceFailed("answered with a web page in place of the file (a log-in or an error page)")
    partial = response.status_code == 206
    if not partial or not response.headers.get("content-range", "").startswith(f"bytes {part.size}-"):
        if partial:
            raise SourceFailed("sent another range than it was asked for")
        part.restart()
    length = response.headers.get("content-length")
    if length is not None and part.size + int(length) != part.file.size:
        raise SourceFailed(f"has a file of {part.size + int(length)} bytes, not of {part.file.size}")


def _trust(way: Fetch) -> ssl.SSLContext | bool:
    if not way.authorities:
        return True
    place = Path(way.authorities).expanduser()
    try:
        if place.is_dir():
            return ssl.create_default_context(capath=place)
        return ssl.create_default_context(cafile=place)
    except OSError as error:  # ssl.SSLError is one
        raise SourceFailed(f"cannot be asked: the certificates {place} cannot be read ({error})") from error


def _skip(host: str, reason: str) -> SourceFailed:
    _skipped[host] = reason
    return SourceFailed(reason)


def _resolve(url: str, timeout: float) -> None:
    """Look up the host's name within `timeout`: the operating system alone may take half a minute."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not proxy_bypass(host) and getproxies().keys() & {parts.scheme, "all"}:
        return  # a proxy looks it up
    failure: list[OSError] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, parts.port or parts.scheme)
        except OSError as error:
            failure.append(error)

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(timeout)
    if thread.is_alive():
        raise TimeoutError
    if failure:
        raise failure[0]
