"""Where the sdist of a release lies: the simple API of package indexes (PEP 503, PEP 691), and folders."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import SplitResult, unquote, urljoin, urlsplit
from urllib.request import url2pathname

from sonorant.catalogue.card import Package
from sonorant.catalogue.http import accept, opened, paced
from sonorant.catalogue.pip_settings import PipSettings
from sonorant.catalogue.sources import Fetch, SourceFailed

_JSON = "application/vnd.pypi.simple.v1+json"
_ACCEPT = f"{_JSON}, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1"
_LARGEST_PAGE = 64 << 20  # bytes
HINT = "does the index need a user name and a password in its address?"


def find_sdist(package: Package, settings: PipSettings, timeout: float) -> Path | Fetch:
    """The sdist NAME-VERSION.tar.gz: a file of this machine, or the way to download it.

    Folders of `find-links` are looked into first, then the indexes are asked one after another.
    Raises SourceFailed with what each of them said.
    """
    name = _normal(package.package)
    pages = (f"{index.rstrip('/')}/{name}/" for index in settings.indexes)
    reasons: list[str] = []
    for entry in (*settings.find_links, *pages):
        try:
            place = _place(entry)
            for link in _links(place, settings, timeout):
                if _is_sdist(link, name, package.version):
                    return _reach(link, place, settings)
            reasons.append(f"{_label(place)} does not list it")
        except SourceFailed as failure:
            reasons.append(f"{_label(place)} {failure}")
        except ValueError:  # its text could show a password
            reasons.append("an index is, or names, an address that cannot be read")
    raise SourceFailed(f"no sdist was found ({'; '.join(reasons) or 'pip knows no index and no find-links'})")


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()  # PEP 503


def _place(entry: str) -> str:
    """An address, of a place on this machine too; a folder's ends with a slash, so that links join it."""
    place = entry if "://" in entry else Path(entry).expanduser().absolute().as_uri()
    path = _file(place)
    return place.rstrip("/") + "/" if path is not None and path.is_dir() else place


def _file(address: str) -> Path | None:
    parts = urlsplit(address)
    return Path(url2pathname(parts.path)) if parts.scheme == "file" else None


def _is_sdist(link: str, name: str, version: str) -> bool:
    file = unquote(urlsplit(link).path).rpartition("/")[2]
    if not file.endswith(".tar.gz"):
        return False
    stem, _, found = file.removesuffix(".tar.gz").rpartition("-")
    return _normal(stem) == name and found == version


def _links(place: str, settings: PipSettings, timeout: float) -> list[str]:
    path = _file(place)
    if path is None:
        return _ask(place, settings, timeout)
    try:
        if path.is_dir() and not (path / "index.html").is_file():
            return [file.absolute().as_uri() for file in sorted(path.iterdir())]
        page = path / "index.html" if path.is_dir() else path
        return _in_html(page.read_text(encoding="utf-8", errors="replace"), place)
    except OSError as error:
        raise SourceFailed(f"cannot be read ({error.strerror})") from error


def _ask(place: str, settings: PipSettings, timeout: float) -> list[str]:
    way = _way(place, place, settings, {"Accept": _ACCEPT})
    with opened(way, timeout) as response:
        accept(way, response, HINT)
        body = b"".join(paced(way, response, _LARGEST_PAGE)).decode("utf-8", "replace")
        kind, base = response.headers.get("content-type", ""), str(response.url)
    return _in_json(body, base) if kind.startswith(_JSON) else _in_html(body, base)


def _in_json(page: str, base: str) -> list[str]:
    try:
        return [urljoin(base, file["url"]) for file in json.loads(page)["files"]]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise SourceFailed(f"answered with JSON that is no page of an index ({error!r})") from error


def _in_html(page: str, base: str) -> list[str]:
    anchors = _Anchors()
    try:
        anchors.feed(page)
        return [urljoin(urljoin(base, anchors.base), link) for link in anchors.links]
    except (ValueError, AssertionError) as error:  # html.parser asserts that a page is not too broken
        raise SourceFailed(f"has a page that cannot be read ({error!r})") from error


class _Anchors(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.base = ""
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href")
        if link and tag == "a":
            self.links.append(link)
        elif link and tag == "base" and not self.base:
            self.base = link


def _reach(link: str, place: str, settings: PipSettings) -> Path | Fetch:
    path = _file(link)
    if path is None:
        return _way(link, place, settings)
    if _file(place) is None:
        raise SourceFailed("links to a file of this machine")
    return path


def _way(address: str, place: str, settings: PipSettings, headers: dict[str, str] | None = None) -> Fetch:
    """The index's user name and password go with the request, but to no other host than its own."""
    parts, home = urlsplit(address), urlsplit(place)
    if parts.scheme not in ("http", "https"):
        raise SourceFailed(f"links to an address of an unknown kind ({parts.scheme}:)")
    sent = dict(headers or {})
    if (parts.scheme, parts.hostname, parts.port) == (home.scheme, home.hostname, home.port):
        sent |= _authorization(home)
    url = parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
    return Fetch(_label(address), url, sent, settings.authorities, settings.proxy)


def _authorization(index: SplitResult) -> dict[str, str]:
    if not index.username:
        return {}
    words = f"{unquote(index.username)}:{unquote(index.password or '')}"
    return {"Authorization": f"Basic {base64.b64encode(words.encode()).decode()}"}


def _label(address: str) -> str:
    parts = urlsplit(address)
    return parts.path if parts.scheme == "file" else parts.netloc.rpartition("@")[2]
