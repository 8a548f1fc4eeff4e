"""torch and safetensors, made to fail: what they print today must still find its entry."""

import argparse
import pickle

import pytest

from sonorant.doctor.messages import diagnose

pytestmark = pytest.mark.heavy  # needs torch, which `make test-systems` installs
torch = pytest.importorskip("torch")
safetensors = pytest.importorskip("safetensors.torch")

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n"
PAGE = b"<!DOCTYPE html><html></html>"


def checkpoint(folder, content):
    path = folder / "c.pt"
    path.write_bytes(content)
    return path


def saved(folder, value, keep=None):
    path = folder / "s.pt"
    torch.save(value, path)
    return checkpoint(folder, path.read_bytes()[:keep])


def tensors(folder, content=None):
    path = folder / "s.safetensors"
    if content is None:
        safetensors.save_file({"a": torch.zeros(99)}, path)
        content = path.read_bytes()[:-10]
    path.write_bytes(content)
    return path


PROVOKED = [
    ("torch-checkpoint-damaged", lambda folder: torch.load(checkpoint(folder, POINTER))),
    ("torch-checkpoint-damaged", lambda folder: torch.load(checkpoint(folder, PAGE))),
    ("torch-checkpoint-damaged", lambda folder: torch.load(saved(folder, torch.zeros(999), 2000))),
    ("torch-checkpoint-damaged", lambda folder: pickle.loads(b"")),
    ("torch-weights-only", lambda folder: torch.load(saved(folder, argparse.Namespace(a=1)))),
    ("state-dict-mismatch", lambda _: torch.nn.Linear(2, 3).load_state_dict({"weight": torch.zeros(4, 2)})),
    ("dtype-or-device-mismatch", lambda _: torch.nn.Conv1d(1, 1, 1).half()(torch.zeros(1, 1, 3))),
    ("dtype-or-device-mismatch", lambda _: torch.nn.Linear(2, 2).half()(torch.zeros(1, 2))),
    ("dtype-or-device-mismatch", lambda _: torch.bmm(torch.zeros(1, 2, 2).half(), torch.zeros(1, 2, 2))),
    ("index-out-of-range", lambda _: torch.nn.Embedding(3, 2)(torch.tensor([7]))),
    ("audio-too-short", lambda _: torch.nn.Conv1d(1, 1, 9)(torch.zeros(1, 1, 3))),
    ("nan-output", lambda _: torch.multinomial(torch.tensor([float("nan")]), 1)),
    ("cannot-allocate", lambda _: torch.zeros(1 << 50)),
    ("safetensors-damaged", lambda folder: safetensors.load_file(tensors(folder))),
    ("safetensors-damaged", lambda folder: safetensors.load_file(tensors(folder, POINTER))),
]


@pytest.mark.parametrize(("name", "fail"), PROVOKED, ids=[f"{n}-{i}" for i, (n, _) in enumerate(PROVOKED)])
def test_what_is_printed_today_finds_its_entry(name, fail, tmp_path):
    with pytest.raises(Exception) as caught:
        fail(tmp_path)
    told = f"{type(caught.value).__name__}: {caught.value}"
    assert diagnose(told)[0].name == name, told
