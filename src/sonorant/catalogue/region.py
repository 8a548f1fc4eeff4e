"""Where the user is, as far as it matters: which hubs answer fast there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from sonorant.settings import CatalogueSettings

_CHINA_ZONES = ("Asia/Shanghai", "Asia/Chongqing", "Asia/Harbin", "Asia/Urumqi", "Asia/Kashgar", "PRC")
_LOCAL_TIME = Path("/etc/localtime")


def region(settings: CatalogueSettings) -> Literal["global", "china"]:
    """The region that is set, or else the one that the locale and the time zone tell."""
    if settings.region != "auto":
        return settings.region
    language = os.environ.get("LC_ALL") or os.environ.get("LC_MESSAGES") or os.environ.get("LANG") or ""
    return "china" if language.startswith("zh_CN") or _time_zone().endswith(_CHINA_ZONES) else "global"


def _time_zone() -> str:
    if zone := os.environ.get("TZ"):
        return zone.removeprefix(":")
    # a link into the zone database on Linux and macOS alike; a plain file tells nothing
    return os.readlink(_LOCAL_TIME) if _LOCAL_TIME.is_symlink() else ""
