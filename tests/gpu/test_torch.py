"""torch on a GPU: streams of their own, captured runs, halves, memory, and a context that a kernel broke."""

import subprocess
import sys

import numpy as np
import pytest

from gpus import at_once, decibels
from sonorant.errors import EngineError
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.torch import Torch
from sonorant.networks.engines.torch_options import TorchOptions
from sonorant.observe.meter import out_of_memory
from sonorant.replica.memory import poisoned

pytestmark = pytest.mark.usefixtures("torch_cuda")

N = Axis("n", min=2, typical=40, max=1 << 20)
SIGNATURE = Signature(
    (Tensor("x", "float32", (BATCH, N, 64)), Tensor("mask", "bool", (BATCH, N))),
    (Tensor("y", "float32", (BATCH, N, 64)),),
)


def build():
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(64, 192), nn.Linear(64, 64)

        def forward(self, x, mask):
            q, k, v = (part.unflatten(-1, (4, 16)).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
            seen = ~mask[:, None, None]
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            return self.out(torch.relu(mixed.transpose(1, 2).flatten(2)))

    return Attention()


@pytest.fixture
def checkpoint(tmp_path):
    import torch

    torch.manual_seed(0)
    path = tmp_path / "attention.pt"
    torch.save(build().state_dict(), path)
    return path


def feeds(n):
    mask = np.zeros((1, n), np.bool_)
    mask[:, n // 2 + 1 :] = True
    return {"x": np.random.default_rng(n).standard_normal((1, n, 64), np.float32), "mask": mask}


@pytest.mark.parametrize(
    ("options", "least"),
    [
        (TorchOptions(), 60),
        (TorchOptions(cuda_graphs=True), 60),
        (TorchOptions(sdpa_kernel=("FLASH_ATTENTION", "EFFICIENT_ATTENTION")), 60),
        (TorchOptions(autocast="float16"), 40),
        (TorchOptions(autocast="float16", cuda_graphs=True), 40),
        (TorchOptions(autocast="bfloat16"), 25),
        (TorchOptions(compile="default"), 60),
    ],
    ids=str,
)
def test_every_length_and_mask_gives_what_a_processor_gives_from_several_threads(checkpoint, options, least):
    plain, fast = Torch(checkpoint, build, SIGNATURE), Torch(checkpoint, build, SIGNATURE, "cuda", options)
    lengths = (3, 9, 30, 200)
    expected = {n: plain.prepare(feeds(n))()["y"] for n in lengths}
    for n in lengths:  # compilers and captures are not asked for by two threads first
        fast.prepare(feeds(n))()

    def work(number: int) -> None:
        for n in lengths[number:] + lengths[:number]:
            found = fast.prepare(feeds(n))()["y"]
            assert np.isfinite(found).all()
            assert decibels(expected[n], found) > least

    at_once(3, work)


def test_graphs_are_captured_by_several_threads_at_once(checkpoint):
    fast = Torch(checkpoint, build, SIGNATURE, "cuda", TorchOptions(cuda_graphs=True))
    plain = Torch(checkpoint, build, SIGNATURE)

    def work(number: int) -> None:
        for n in range(2 + number, 60, 7):
            assert decibels(plain.prepare(feeds(n))()["y"], fast.prepare(feeds(n))()["y"]) > 60

    at_once(3, work)


def test_what_does_not_fit_is_told_as_such_and_what_fits_is_computed(checkpoint):
    import torch

    engine = Torch(checkpoint, build, SIGNATURE, "cuda")
    torch.cuda.set_per_process_memory_fraction(0.02)
    try:
        with pytest.raises(EngineError) as caught:
            engine.prepare(feeds(1 << 20), large=True)()
        assert out_of_memory(caught.value)
        assert not poisoned(caught.value)
        assert np.isfinite(engine.prepare(feeds(30))()["y"]).all()
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


BROKEN = """
import numpy as np, pathlib, sys, torch
from torch import nn
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.torch import Torch
from sonorant.errors import EngineError
from sonorant.replica.memory import poisoned

path = pathlib.Path(sys.argv[1])
def build():
    table = nn.Embedding(8, 4)
    forward = table.forward
    table.forward = lambda x: forward(x)
    return table
torch.save(nn.Embedding(8, 4).state_dict(), path)
n = Axis("n", min=2, typical=4)
signature = Signature((Tensor("x", "int64", (BATCH, n), high=7),), (Tensor("y", "float32", (BATCH, n, 4)),))
engine = Torch(path, build, signature, "cuda")
for ids in ([0, 1], [0, 10**6], [0, 1]):
    try:
        engine.prepare({"x": np.array([ids])})()
        print("fine")
    except EngineError as error:
        print("poisoned" if poisoned(error) else f"not poisoned: {error.why}")
"""


def test_a_context_that_a_kernel_broke_is_known_and_stays_broken(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", BROKEN, str(tmp_path / "table.pt")],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.stdout.split() == ["fine", "poisoned", "poisoned"], done.stdout + done.stderr
