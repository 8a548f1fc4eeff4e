"""The language of what people read in an answer, chosen by `Accept-Language`."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import Scope

from sonorant.locale import language_of_request


def language_of(scope: Scope) -> str:
    """ "en", or "zh" where the request likes Chinese better."""
    return language_of_request(",".join(Headers(scope=scope).getlist("accept-language")))


def language_headers(scope: Scope) -> dict[str, str]:
    """Of an answer in that language."""
    return {"content-language": language_of(scope), "vary": "accept-language"}
