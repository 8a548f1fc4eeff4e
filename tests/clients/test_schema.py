"""schemathesis sends what the schema at /openapi.json allows, and what it forbids: the answers must be
those that the schema documents, in status, content type and shape, and none may be a 5xx."""

import json
import shutil
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.heavy

FUZZ = Path(__file__).parent / "fuzz"


def test_garbage_is_refused_as_documented(environment, execute, server, tmp_path):
    shutil.copytree(FUZZ, tmp_path, dirs_exist_ok=True)
    short = {"input": "Good morning.", "response_format": "wav", "sample_rate": 16_000}
    answer = httpx.post(f"{server.api}/audio/speech", json=short, timeout=60).raise_for_status()
    (tmp_path / "hello.wav").write_bytes(answer.content)

    before = server.answers()
    schemathesis = (environment("schemathesis") / "python", "-m", "schemathesis.cli", "--no-color", "run")
    report = ("--report", "json,ndjson", "--report-dir", ".", "--report-json-path", "report.json")
    execute(*schemathesis, *report, f"{server.url}/openapi.json", cwd=tmp_path)
    found = json.loads((tmp_path / "report.json").read_text())
    assert found["complete"]
    assert found["failures"] == found["errors"] == []
    assert found["operations"]["tested"] == found["operations"]["total"] >= 10
    assert found["test_cases"]["generated"] > 500

    # the models were reached, and not only the checks in front of them
    new = server.answers() - before
    for path in ("/v1/audio/speech", "/v1/audio/transcriptions"):
        assert new[path, "200"] > 20
        assert new[path, "400"] > 20
