"""Batches of the command line: what is finished stays, what is wrong is told, and nothing else is lost."""

import json
import threading
from pathlib import Path

import pytest
import typer

from sonorant.cli import batch
from sonorant.cli.batch import Hopeless, Stopped, Wrong, patiently, run
from sonorant.cli.batch_list import read, target
from sonorant.cli.manifest import MANIFEST, Item, opened, unfinished
from sonorant.cli.remote import Refused
from sonorant.errors import RequestError, ServerError, TextError


def items(*texts: str) -> list[Item]:
    return [Item(n, f"{n}.txt", {"text": text}) for n, text in enumerate(texts, 1)]


class Maker:
    """Writes each text into its file, and remembers which."""

    def __init__(self, **errors: Exception) -> None:
        self.errors, self.made = errors, []

    def __call__(self, item: Item, path: Path, stop: threading.Event) -> float:
        self.made.append(item.request["text"])
        path.write_text(item.request["text"])
        if error := self.errors.get(item.request["text"]):
            raise error
        return 1.0


def done(folder: Path, *texts: str, make: Maker | None = None) -> list[str]:
    """What a batch of `texts` makes."""
    make = make or Maker()
    all_of_them = items(*texts)
    left = unfinished(all_of_them, folder)
    run(left, [], len(all_of_them) - len(left), folder, make, 2)
    return sorted(make.made)


def test_what_is_finished_is_not_made_again(tmp_path, capsys):
    assert done(tmp_path, "a", "b", "c") == ["a", "b", "c"]
    assert capsys.readouterr().err == "3 made, 0 were there already, 0 failed\n"
    assert done(tmp_path, "a", "b", "c") == []
    assert capsys.readouterr().err == "0 made, 3 were there already, 0 failed\n"
    assert done(tmp_path, "a", "B", "c", "d") == ["B", "d"], "a changed line is made anew"
    assert (tmp_path / "2.txt").read_text() == "B"
    assert done(tmp_path, "a", "b", "c", "d") == ["b"], "and back again: the last line of the manifest counts"


@pytest.mark.parametrize("damage", ["gone", "longer", "other bytes", "no manifest", "torn", "garbage"])
def test_what_is_damaged_is_made_again(tmp_path, damage):
    done(tmp_path, "a", "b")
    first, manifest = tmp_path / "1.txt", tmp_path / MANIFEST
    record = next(line for line in manifest.read_text().splitlines() if '"1.txt"' in line)
    other = next(line for line in manifest.read_text().splitlines() if '"2.txt"' in line)
    match damage:
        case "gone":
            first.unlink()
        case "longer":
            first.write_text("aa")
        case "other bytes":
            first.write_text("x")
        case "no manifest":
            manifest.unlink()
        case "torn":
            manifest.write_text(f"{other}\n{record[:30]}")
        case "garbage":
            manifest.write_bytes(b'\xff\n[1]\n"x"\nnull\n' + other.encode() + b"\n{}")
    assert done(tmp_path, "a", "b") == (["a", "b"] if damage == "no manifest" else ["a"])
    assert first.read_text() == "a"
    assert done(tmp_path, "a", "b") == []


def test_what_is_wrong_with_one_leaves_the_others_at_work(tmp_path, capsys):
    make = Maker(b=TextError("The text is empty", remedy="Say what to speak"))
    with pytest.raises(typer.Exit) as ended:
        run(items("a", "b", "c"), [Wrong(9, RequestError("It is not JSON"))], 0, tmp_path, make, 2)
    assert ended.value.exit_code == 1
    assert capsys.readouterr().err.splitlines() == [
        "Line 2: The text is empty. Say what to speak.",
        "Line 9: It is not JSON.",
        "2 made, 0 were there already, 2 failed",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1.txt", "3.txt", MANIFEST]
    assert done(tmp_path, "a", "b", "c") == ["b"]


def test_many_errors_are_counted(tmp_path, capsys):
    texts = [str(n) for n in range(60)]
    make = Maker(**{text: TextError("No") for text in texts})
    with pytest.raises(typer.Exit):
        run(items(*texts), [], 0, tmp_path, make, 2)
    assert capsys.readouterr().err.splitlines()[-2:] == [
        "and 10 more",
        "0 made, 0 were there already, 60 failed",
    ]


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (Hopeless(ServerError("http://… answered 401")), ServerError),
        (OSError(28, "No space left on device"), RequestError),
        (ZeroDivisionError(), ZeroDivisionError),
    ],
)
def test_what_every_item_would_meet_ends_it_all(tmp_path, error, raised):
    texts = [str(n) for n in range(50)]
    make = Maker(**{"3": error})
    with pytest.raises(raised):
        run(items(*texts), [], 0, tmp_path, make, 1)
    assert make.made == ["0", "1", "2", "3"]
    assert done(tmp_path, *texts) == sorted(texts[3:])


def test_an_interrupt_stops_the_work_at_hand(tmp_path, monkeypatch):
    began = threading.Event()

    def endless(item: Item, path: Path, stop: threading.Event) -> float:
        path.write_text("half")
        began.set()
        for piece in batch.until(stop, iter(lambda: stop.wait(0.01) and None, 1)):
            assert piece is None or piece is False
        return 0.0

    def interrupted(self, timeout=None):
        assert began.wait(10)
        monkeypatch.undo()
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(items("a", "b"), [], 0, tmp_path, endless, 2)
    assert [path.name for path in tmp_path.iterdir()] == [MANIFEST]


def test_two_batches_do_not_share_a_folder(tmp_path):
    with opened(tmp_path), pytest.raises(RequestError, match="Another batch"):
        done(tmp_path, "a")
    assert done(tmp_path, "a") == ["a"]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match="cannot be written"):
        done(tmp_path / "file", "a")


def test_a_busy_server_is_asked_again_and_one_that_is_gone_is_not(monkeypatch):
    monkeypatch.setattr(batch, "RECONNECTIONS", 1)
    waited = []

    class Clock(threading.Event):
        def wait(self, timeout=None):
            waited.append(timeout)
            return False

    answers = [Refused("s", 429, "busy", 3.0), ServerError("gone"), Refused("s", 503, "loading", 5.0), "done"]

    def ask():
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(Clock(), ask) == "done"
    assert waited == [3.0, 1.0, 5.0]
    answers[:] = [Refused("s", 400, "no such voice", None)]
    with pytest.raises(Refused):
        patiently(Clock(), ask)
    for hopeless in ([ServerError("gone"), ServerError("gone")], [Refused("s", 401, "no key", None)]):
        answers[:] = hopeless
        with pytest.raises(Hopeless):
            patiently(Clock(), ask)
    answers[:] = [Refused("s", 429, "busy", 10_000.0)]
    with pytest.raises(Refused):
        patiently(Clock(), ask)
    answers[:] = [Refused("s", 429, "busy", 1.0)]
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        patiently(stop, ask)


def listed(
    tmp_path: Path, text: str, name: str = "list.jsonl"
) -> tuple[list[tuple[str, dict]], list[tuple[int, str]]]:
    """(target, fields) of the good lines, (number, error) of the others"""
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    known = {"text": (str,), "speed": (int, float), "trim": (bool,)}
    good, wrong = read(file, tmp_path, "text", known, lambda n, f: Item(n, target(n, f, "wav"), f))
    return [(i.target, i.request) for i in good], [(w.line, str(w.error)) for w in wrong]


def test_a_list_of_text(tmp_path):
    good, wrong = listed(tmp_path, "\ufeffOne.\n\n  Zwei – 二.  \r\n{3}\n", "list.txt")
    assert good == [
        ("000001.wav", {"text": "One."}),
        ("000003.wav", {"text": "Zwei – 二."}),
        ("000004.wav", {"text": "{3}"}),
    ]
    assert wrong == []


def test_a_list_of_json(tmp_path):
    lines = [
        {"text": "a", "id": "intro/1: é"},
        {"input": "b", "custom_id": 7, "speed": 1.5, "trim": True, "voice": None},
        {"custom_id": "c", "method": "POST", "url": "/v1/audio/speech", "body": {"input": "c"}},
        {"text": "d", "file": "deep/er/d.mp3"},
    ]
    good, wrong = listed(tmp_path, "\n".join(map(json.dumps, lines)))
    assert wrong == []
    assert good == [
        ("intro_1_ é.wav", {"text": "a"}),
        ("7.wav", {"text": "b", "speed": 1.5, "trim": True}),
        ("c.wav", {"text": "c"}),
        ("deep/er/d.mp3", {"text": "d"}),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "It is not JSON"),
        ("[" * 50_000, "It is not JSON"),
        ("[]", "not a JSON object"),
        ('{"txt": "a"}', "'txt' is not known here"),
        ('{"text": 5}', "text cannot be 5"),
        ('{"text": "a", "speed": true}', "speed cannot be True"),
        ('{"text": "a", "id": "../.."}', ""),
        ('{"text": "a", "id": ""}', "cannot be the name of a file"),
        ('{"text": "a", "id": "' + "x" * 201 + '"}', "cannot be the name of a file"),
        ('{"text": "a", "file": "/etc/passwd"}', "cannot be a file of the folder"),
        ('{"text": "a", "file": "a/../../b.wav"}', "cannot be a file of the folder"),
        ('{"text": "a", "file": "manifest.jsonl"}', "cannot be a file of the folder"),
        ('{"text": "a", "id": "twice"}', "Line 1 is written to twice.wav, too"),
    ],
)
def test_a_line_that_is_wrong(tmp_path, line, said):
    good, wrong = listed(tmp_path, f'{{"text": "a", "id": "twice"}}\n{line}')
    if not said:  # an id is no path: what could lead elsewhere is taken out of it
        assert [name for name, _ in good] == ["twice.wav", "_.wav"]
        return
    assert len(good) == 1
    ((number, error),) = wrong
    assert number == 2
    assert said in error


@pytest.mark.parametrize("data", [b"", b"\n \n", b"\xff\xfe\x00"])
def test_a_list_that_is_none(tmp_path, data):
    file = tmp_path / "list.txt"
    file.write_bytes(data)
    with pytest.raises(RequestError):
        read(file, tmp_path, "text", {}, lambda n, f: Item(n, "a", f))
    with pytest.raises(RequestError):
        read(tmp_path / "none.txt", tmp_path, "text", {}, lambda n, f: Item(n, "a", f))
