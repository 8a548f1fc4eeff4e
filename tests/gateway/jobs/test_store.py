"""The store survives the end of its process at any moment, and keeps no more than it should."""

import json
import subprocess
import sys
import textwrap
from dataclasses import replace

import pytest

from sonorant.errors import LimitError, NotFoundError, RequestError, StorageError
from sonorant.gateway.jobs import Answer, Batch, Line, Store
from sonorant.gateway.jobs import files as kept
from sonorant.gateway.jobs.records import Status
from sonorant.settings import JobSettings

LINES = 3

STORY = textwrap.dedent(
    '''
    """What happens to one batch, from wherever it stands; ended by force at the `n`th step to the disk."""
    import os, sys
    from pathlib import Path
    from sonorant.gateway.jobs import Answer, Batch, Line, Store
    from sonorant.gateway.jobs import files
    from sonorant.gateway.jobs.database import Database
    from sonorant.gateway.jobs.files import Files
    from sonorant.gateway.jobs.records import Status
    from sonorant.settings import JobSettings

    LINES, folder, left = 3, Path(sys.argv[1]), 0

    def step(real):
        def counted(*args, **more):
            global left
            left -= 1
            if left == 0:
                os._exit(9)
            return real(*args, **more)
        return counted

    Database.run, files.on_disk, os.replace = step(Database.run), step(files.on_disk), step(os.replace)
    Database.one = step(Database.one)

    def written(store, text):
        path = store.files.scratch()
        path.write_text(text)
        return path

    def story(folder):
        store = Store(folder, JobSettings())
        if not (batches := store.batches("", 9)[0]):
            uploads, _ = store.files.page("", 9, purpose="batch")
            upload = uploads[0] if uploads else store.files.keep(written(store, "list"), "", "batch", "l", None)
            batches = [store.create(Batch(id="batch_1", tenant="", endpoint="/", input_file_id=upload.id,
                                          window="24h", created_at=1, expires_at=2**40))]
        batch = batches[0]
        if batch.status is Status.VALIDATING:
            batch = store.advance(batch.id, Status.IN_PROGRESS, total=LINES)
        if batch.status is Status.IN_PROGRESS:
            for n in range(1, LINES + 1):
                if n not in store.done(batch.id):
                    path = written(store, f"audio {n}") if n != 2 else None
                    record = {"custom_id": f"line {n}", "audio": path and path.name}
                    store.record(batch.id, Line(n, f"line {n}", {}), Answer(n != 2, record, path, "audio/x", ".x"))
            batch = store.advance(batch.id, Status.FINALIZING)
        if not batch.status.ended:
            store.finish(batch.id, Status.COMPLETED)
        store.close()

    n, ended = 0, False
    while not ended:
        n += 1
        here = folder / str(n)
        for left in (n, 0):  # it is killed at the nth step; then nobody kills it
            child = os.fork()
            if child == 0:
                story(here)
                os._exit(0)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            ended = left > 0 and code == 0
            assert code == (0 if ended or not left else 9), (n, code)
            if ended:
                break
    print(n)
    '''
)


def test_killed_at_every_step_it_holds_each_result_once(tmp_path):
    steps = int(
        subprocess.run(
            [sys.executable, "-c", STORY, str(tmp_path)],
            check=True,
            capture_output=True,
            text=True,
            timeout=120,
        ).stdout
    )
    assert steps > 30
    for folder in tmp_path.iterdir():
        store = Store(folder, JobSettings())
        batch = store.batch("batch_1")
        assert (batch.status, batch.total, batch.completed, batch.failed) == ("completed", LINES, 2, 1)
        done = [json.loads(line) for line in store.files.path(batch.output_file_id).read_text().splitlines()]
        assert [one["custom_id"] for one in done] == ["line 1", "line 3"]
        assert [store.files.path(one["audio"]).read_text() for one in done] == ["audio 1", "audio 3"]
        rows, _ = store.files.page("", 99)
        assert {row.id for row in rows} == {path.name for path in (folder / "files").iterdir()}
        assert all(store.files.path(row.id).stat().st_size == row.bytes for row in rows)
        assert len(rows) == 1 + 2 + 2, "the input, two recordings, the results and the errors"
        assert not list((folder / "scratch").iterdir())
        store.close()


@pytest.fixture
def store(tmp_path):
    opened = Store(tmp_path, JobSettings(days=1))
    yield opened
    opened.close()


def upload(
    store: Store, data: bytes = b"list", tenant: str = "", purpose: str = "batch", seconds: int | None = None
):
    path = store.files.scratch()
    path.write_bytes(data)
    return store.files.keep(path, tenant, purpose, "name", seconds)


def batch_of(input: str, **more) -> Batch:
    facts = {
        "id": "batch_1",
        "tenant": "",
        "endpoint": "/",
        "window": "24h",
        "created_at": 1,
        "expires_at": 9,
    }
    return Batch(**facts | {"input_file_id": input} | more)


def test_what_was_kept_long_enough_is_deleted(store, monkeypatch):
    short, long = upload(store, seconds=3600), upload(store)
    used = upload(store, seconds=3600)
    store.create(batch_of(used.id))
    recorded = store.files.scratch()
    recorded.write_bytes(b"audio")
    begin = kept.now()

    def later(seconds: int) -> None:
        for module in ("database", "files", "store"):
            monkeypatch.setattr(f"sonorant.gateway.jobs.{module}.now", lambda: begin + seconds, raising=False)
        store.expire()

    later(3500)
    assert store.files.find(short.id, "")
    later(3700)
    with pytest.raises(NotFoundError):
        store.files.find(short.id, "")
    assert not store.files.path(short.id).exists()
    assert store.files.path(used.id).exists(), "a batch that has not ended still reads it"
    assert store.input("batch_1") == store.files.path(used.id)
    assert store.files.find(long.id, "")
    store.finish("batch_1", Status.CANCELLED)
    later(86_300)
    assert not store.files.path(used.id).exists()
    assert store.batch("batch_1").status == "cancelled"
    later(86_500 + 3700)
    with pytest.raises(NotFoundError):
        store.batch("batch_1")
    assert list((store.files.path("x").parent).iterdir()) == []


def test_bytes_are_counted_over_starts_and_deletions(tmp_path):
    settings = JobSettings(total_bytes=10)
    store = Store(tmp_path, settings)
    first = upload(store, b"12345678")
    store.close()
    store = Store(tmp_path, settings)
    with pytest.raises(LimitError):
        upload(store, b"123")
    store.files.delete(first.id, "")
    upload(store, b"1234567890")
    store.close()


def test_a_result_is_kept_once(store):
    file = upload(store)
    store.create(batch_of(file.id))
    store.advance("batch_1", Status.IN_PROGRESS, total=1)
    for text in ("first", "second"):
        path = store.files.scratch()
        path.write_text(text)
        store.record("batch_1", Line(1, "a", {}), Answer(True, {"custom_id": "a", "text": text}, path))
    batch = store.finish("batch_1", Status.COMPLETED)
    store.record("batch_1", Line(1, "a", {}), Answer(True, {"custom_id": "a", "text": "too late"}))
    assert store.done("batch_1") == set()
    assert not list(store.files.scratch().parent.iterdir())
    assert len(store.files.page("", 9)[0]) == 3, "the input, one recording, the results"
    assert (batch.completed, batch.error_file_id) == (1, None)
    assert json.loads(store.files.path(batch.output_file_id).read_text())["text"] == "first"


def test_a_batch_that_is_cancelled_goes_nowhere_else(store):
    store.create(batch_of(upload(store).id))
    store.cancel("batch_1", "")
    assert store.advance("batch_1", Status.IN_PROGRESS, total=3).status == "cancelling"
    assert store.cancel("batch_1", "").status == "cancelling"
    store.finish("batch_1", Status.CANCELLED)
    assert store.advance("batch_1", Status.IN_PROGRESS).status == "cancelled"
    with pytest.raises(RequestError):
        store.cancel("batch_1", "")


def test_everything_of_a_batch_is_kept(store):
    whole = replace(
        batch_of(upload(store).id), metadata={"a": "ü"}, language="zh", keep_seconds=5, in_progress_at=3
    )
    store.create(whole)
    assert store.batch("batch_1") == whole


@pytest.mark.parametrize("damage", ["file", "bytes", "version"])
def test_a_folder_that_cannot_be_used(tmp_path, damage):
    folder = tmp_path / "jobs"
    if damage == "file":
        folder.write_text("")
    elif damage == "bytes":
        folder.mkdir()
        (folder / "jobs.sqlite").write_bytes(b"no database" * 1000)
    else:
        Store(folder, JobSettings()).close()
        import sqlite3

        database = sqlite3.connect(folder / "jobs.sqlite")
        database.execute("PRAGMA user_version = 99")
        database.close()
    with pytest.raises(StorageError, match=r"jobs\.folder"):
        Store(folder, JobSettings())
