"""What makes the torch engine faster computes the same, and is left out where it cannot be had."""

import logging

import numpy as np
import pytest

from sonorant.errors import EngineError, SettingsError
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.torch import Torch
from sonorant.networks.engines.torch_options import TorchOptions

N = Axis("n", min=2, typical=4)
SIGNATURE = Signature(
    (Tensor("x", "float32", (BATCH, N, 8)), Tensor("mask", "bool", (BATCH, N))),
    (Tensor("y", "float32", (BATCH, N, 8)),),
)

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # its compiler's own modules
heavy = pytest.mark.heavy  # needs torch, which `make test-systems` installs


def build():
    import torch
    from torch import nn

    class Attention(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)

        def forward(self, x, mask):
            q, k, v = (part.unsqueeze(1) for part in self.qkv(x).chunk(3, -1))
            seen = ~mask[:, None, None]
            mixed = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=seen)
            return self.out(torch.relu(mixed.squeeze(1)))

    return Attention()


@pytest.fixture
def checkpoint(tmp_path):
    import torch

    path = tmp_path / "attention.pt"
    torch.save(build().state_dict(), path)
    return path


def feeds(n):
    mask = np.zeros((1, n), np.bool_)
    mask[:, n // 2 + 1 :] = True
    return {"x": np.random.default_rng(n).standard_normal((1, n, 8), np.float32), "mask": mask}


@heavy
@pytest.mark.parametrize(
    "options",
    [
        TorchOptions(compile="default"),
        TorchOptions(sdpa_kernel=("FLASH_ATTENTION",)),
        TorchOptions(cuda_graphs=True),
    ],
    ids=str,
)
def test_every_length_and_mask_gives_what_plain_torch_gives(checkpoint, options):
    plain, fast = Torch(checkpoint, build, SIGNATURE), Torch(checkpoint, build, SIGNATURE, options=options)
    for n in (3, 9, 30):
        expected, found = plain.prepare(feeds(n))()["y"], fast.prepare(feeds(n))()["y"]
        np.testing.assert_allclose(found, expected, atol=1e-5)


@heavy
def test_what_cannot_be_compiled_runs_as_it_is_and_the_log_says_so(checkpoint, monkeypatch, caplog):
    import torch

    def broken(module, **_):
        def compiled(**_):
            raise RuntimeError("no compiler\nwas found")

        return compiled

    expected = Torch(checkpoint, build, SIGNATURE).prepare(feeds(5))()["y"]
    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING):
        engine = Torch(checkpoint, build, SIGNATURE, options=TorchOptions(compile="default"))
        np.testing.assert_array_equal(engine.prepare(feeds(5))()["y"], expected)
    assert [r.message for r in caplog.records] == [
        "torch.compile failed, the model runs without: no compiler was found"
    ]


@heavy
def test_cuda_graphs_on_a_processor_are_named_and_left_out(checkpoint, caplog):
    with caplog.at_level(logging.WARNING):
        Torch(checkpoint, build, SIGNATURE, options=TorchOptions(cuda_graphs=True))
    assert "CUDA graphs are for GPUs" in caplog.text


@heavy
def test_a_compiled_run_can_be_stopped_before_it_begins(checkpoint):
    call = Torch(checkpoint, build, SIGNATURE, options=TorchOptions(compile="default")).prepare(feeds(5))
    call.stop()
    with pytest.raises(EngineError, match="told to stop"):
        call()


@pytest.mark.parametrize(
    "wrong", [{"compile": "fast"}, {"autocast": "int8"}, {"sdpa_kernel": ("FLASH",)}], ids=str
)
def test_what_torch_does_not_know_is_refused(wrong):
    with pytest.raises(SettingsError, match="Choose one of"):
        TorchOptions(**wrong)
