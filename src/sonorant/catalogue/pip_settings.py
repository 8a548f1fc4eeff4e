"""How the user's own pip is told to reach the package index: its files and PIP_* variables."""

from __future__ import annotations

import ast
import importlib.util
import os
import subprocess
import sys
from dataclasses import dataclass

from sonorant.catalogue.sources import SourceFailed

_PUBLIC = "https://pypi.org/simple"
_SECONDS = 60.0
"""the longest that `pip config` may take"""
_SECTIONS = ("global", "download", ":env:")
"""the ones that `pip download` reads; the later wins (pip: ConfigOptionParser)"""


@dataclass(frozen=True, slots=True)
class PipSettings:
    """The options of pip that say where packages are."""

    indexes: tuple[str, ...]
    """addresses or folders of simple indexes (PEP 503), first one first"""
    find_links: tuple[str, ...]
    """folders of archives, or addresses of pages that link to them"""
    authorities: str
    """file or folder of the certificate authorities to trust; "" = the usual ones"""
    proxy: str
    """its address; "" = the one of the environment"""


def pip_settings() -> PipSettings:
    """The settings in force. Raises SourceFailed when pip cannot tell them."""
    options = _options()
    indexes = (options.get("index-url", _PUBLIC), *options.get("extra-index-url", "").split())
    no_index = options.get("no-index", "").lower() in ("1", "true", "yes", "on", "y", "t")
    proxy = options.get("proxy", "")
    return PipSettings(
        indexes=() if no_index else indexes,
        find_links=tuple(options.get("find-links", "").split()),
        authorities=options.get("cert", ""),
        proxy=proxy if "://" in proxy or not proxy else f"http://{proxy}",
    )


def _options() -> dict[str, str]:
    if importlib.util.find_spec("pip") is None:  # uv leaves it out
        variables = {k: v for k, v in os.environ.items() if k.startswith("PIP_") and v}
        return {k.removeprefix("PIP_").lower().replace("_", "-"): v for k, v in variables.items()}
    sections: dict[str, dict[str, str]] = {name: {} for name in _SECTIONS}
    # of several files pip lists them by path: /etc before /home, as they win, too
    for line in _listed().splitlines():
        name, _, value = line.partition("=")  # global.index-url='https://…'
        section, _, option = name.partition(".")
        if section in sections and value != "''":
            sections[section][option] = str(ast.literal_eval(value))
    return {option: value for section in sections.values() for option, value in section.items()}


def _listed() -> str:
    command = [sys.executable, "-m", "pip", "config", "list"]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS
        )
    except subprocess.TimeoutExpired:
        raise SourceFailed(f"`pip config list` took more than {_SECONDS:g} s") from None
    if done.returncode:
        raise SourceFailed(f"`pip config list` failed ({done.stderr.strip()[-300:]})")
    return done.stdout
