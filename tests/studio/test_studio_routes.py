"""How the page is delivered."""

import asyncio
import re

import httpx
import pytest

from sonorant.gateway import Gateway
from sonorant.protocols.app import create_app
from sonorant.settings import ServerSettings, Settings

BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def get(path: str, headers: dict | None = None, **server) -> httpx.Response:
    async def main() -> httpx.Response:
        settings = Settings(server=ServerSettings(**server))
        transport = httpx.ASGITransport(app=create_app(Gateway([], settings.limits), settings, "1.2.3"))
        async with httpx.AsyncClient(transport=transport, base_url="http://sonorant") as client:
            return await client.get(path, headers=headers)

    return asyncio.run(main())


def test_browsers_get_the_page_and_programs_the_index():
    page = get("/", BROWSER)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "1.2.3" in page.text
    for headers in (None, {"accept": "*/*"}, {"accept": "application/json"}):
        index = get("/", headers)
        assert index.json()["speech"] == "POST /v1/audio/speech"
        assert index.headers["vary"] == "accept"


def test_the_browser_is_told_to_reach_nothing_else():
    policy = get("/", BROWSER).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "//" not in policy


def test_every_file_that_the_page_names_is_there(static):
    page = get("/", BROWSER).text
    named = set(re.findall(r'(?:src|href)="(studio/[^"]+)"', page))
    for script in static.glob("*.js"):
        named |= {f"studio/{name}" for name in re.findall(r'from "\./([^"]+)"', script.read_text("utf-8"))}
    assert {path.name for path in static.iterdir()} - {"index.html"} == {
        path.removeprefix("studio/") for path in named
    }
    kinds = {"js": "text/javascript; charset=utf-8", "css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
    for path in named:
        answer = get(f"/{path}")
        assert (answer.status_code, answer.headers["content-type"]) == (200, kinds[path.rsplit(".", 1)[1]])
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("name", ["nothing.js", "..%2F__init__.py", "%2e%2e/__init__.py", "__init__.py"])
def test_nothing_else_is_given_away(name):
    answer = get(f"/studio/{name}")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "unknown_url"


def test_the_page_needs_no_key_and_follows_the_root_path():
    server = {"api_keys": ("secret",), "root_path": "/voice"}
    for path in ("/", "/voice/"):
        page = get(path, BROWSER, **server)
        assert page.status_code == 200
        assert '<base href="/voice/">' in page.text
    for path in ("/studio/main.js", "/voice/studio/main.js"):
        assert get(path, **server).status_code == 200
    assert get("/v1/models", **server).status_code == 401


def test_the_page_names_no_other_address_and_puts_no_markup_in(static):
    for path in static.iterdir():
        text = path.read_text("utf-8")
        addresses = set(re.findall(r"https?://[^\s\"'<>]+", text))
        assert addresses <= {"http://www.w3.org/2000/svg"}, path.name  # a namespace, not a place
        for way in (
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "document.write",
            "eval(",
            "new Function",
        ):
            assert way not in text, path.name


def test_both_languages_have_the_same_strings_and_no_others_are_used(static):
    tables = (static / "strings.js").read_text("utf-8").split("export const SAMPLES")[0]
    english, chinese = (
        dict(re.findall(r'^    "([\w.-]+)": "(.*)",$', half, re.M)) for half in tables.split("  zh: {")
    )
    assert list(english) == list(chinese)
    assert len(english) > 80
    for key, text in english.items():
        assert set(re.findall(r"\{\d\}", text)) == set(re.findall(r"\{\d\}", chinese[key])), key
    page = (static / "index.html").read_text("utf-8")
    used = set(re.findall(r'data-t(?:-[\w-]+)?="([^"]+)"', page))
    scripts = "".join(path.read_text("utf-8") for path in static.glob("*.js") if path.name != "strings.js")
    used |= set(re.findall(r'"((?:speak|hear|server|figure|error|unit|timeline)(?:\.[\w-]+)+)"', scripts))
    assert used <= set(english)
    computed = {
        key
        for key in english
        if key.split(".")[0] in ("health", "state", "task", "gender", "title", "timeline")
    }
    assert set(english) - used - computed == set()
