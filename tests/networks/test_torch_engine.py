"""The torch engine on small modules that are made here."""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from sonorant.errors import EngineError, ModelFileError
from sonorant.networks import BATCH, Axis, Network, Signature, Tensor
from sonorant.networks.engines.torch import Torch, load_module
from sonorant.replica import Device
from sonorant.replica.lane import DeviceLane

pytestmark = pytest.mark.heavy  # needs torch, which `make test-systems` installs

N = Axis("n", min=2, typical=4)
SIGNATURE = Signature((Tensor("x", "float32", (BATCH, N, 3)),), (Tensor("y", "float32", (BATCH, 5)),))


@pytest.fixture(scope="module")
def torch():
    import torch

    return torch


def build():
    from torch import nn

    class Means(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(3, 5)

        def forward(self, x):
            return self.linear(x.mean(1))

    return Means()


@pytest.fixture
def checkpoint(torch, tmp_path):
    path = tmp_path / "means.pt"
    torch.save(build().state_dict(), path)
    return path


def test_a_run_gives_outputs_by_name(torch, checkpoint):
    engine = Torch(checkpoint, build, SIGNATURE)
    weights = torch.load(checkpoint, weights_only=True)
    x = SIGNATURE.example()["x"]
    x.setflags(write=False)
    outputs = engine.prepare({"x": x})()
    expected = x.mean(1) @ weights["linear.weight"].numpy().T + weights["linear.bias"].numpy()
    np.testing.assert_allclose(outputs["y"], expected, rtol=1e-5)
    assert outputs["y"].dtype == np.float32
    assert engine.provider == f"torch {torch.__version__} on cpu"
    assert engine.source == str(checkpoint)
    assert engine.outputs == (Tensor("y", "float32", (Axis("?"), 5)),)


def test_several_outputs_are_a_tuple_in_the_signatures_order(torch, checkpoint):
    def both():
        module = build()
        forward = module.forward
        module.forward = lambda x: (forward(x), x * 2)
        return module

    two = Signature(SIGNATURE.inputs, (*SIGNATURE.outputs, Tensor("z", "float32", (BATCH, N, 3))))
    x = SIGNATURE.example()["x"]
    outputs = Torch(checkpoint, both, two).prepare({"x": x}, large=True)()
    assert np.array_equal(outputs["z"], x * 2)
    assert outputs["y"].shape == (1, 5)


def test_a_network_compares_what_the_module_really_gives(checkpoint):
    other = Signature(SIGNATURE.inputs, (Tensor("y", "float32", (BATCH, 4)),))
    with pytest.raises(ModelFileError, match="output 'y' has 5 where 4 is expected"):
        Network("means", other, Torch(checkpoint, build, other), None)


def loops(torch):
    """Layers without end."""

    class Loops(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = torch.nn.Linear(3, 5)
            self.runs = 0

        def forward(self, x):
            self.runs += 1
            y = self.linear(x.mean(1))
            while self.runs > 1:  # the first run is the engine's own
                y = self.linear(x.mean(1))
            return y

    return Loops()


def test_who_stops_waiting_for_a_network_stops_the_run(torch, checkpoint):
    """The device's one slot is free again after the cancellation."""

    async def main():
        device = Device("cpu", slots=1)
        engine = Torch(checkpoint, lambda: loops(torch), SIGNATURE)
        network = Network("loops", SIGNATURE, engine, DeviceLane(device))
        endless = asyncio.create_task(network.run(**SIGNATURE.example()))
        await asyncio.sleep(0.2)
        endless.cancel()
        async with asyncio.timeout(30):
            assert await device.run(lambda: "free") == "free"
        assert endless.cancelled()
        device.close()

    asyncio.run(main())


def test_stopping_one_call_leaves_the_others(torch, checkpoint):
    engine = Torch(checkpoint, build, SIGNATURE)
    stopped, other = engine.prepare(SIGNATURE.example()), engine.prepare(SIGNATURE.example())
    stopped.stop()
    with pytest.raises(EngineError, match="told to stop"):
        stopped()
    results = []
    thread = threading.Thread(target=lambda: results.append(other()["y"]))
    thread.start()
    thread.join(30)
    assert results[0].shape == (1, 5)


def test_what_torch_refuses_is_told_in_one_line(checkpoint):
    engine = Torch(checkpoint, build, SIGNATURE)
    with pytest.raises(EngineError, match="torch could not finish a run") as error:
        engine.prepare({"x": np.zeros((1, 4, 7), np.float32)})()
    assert "\n" not in str(error.value)


class Harm:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("damage", ["empty", "truncated", "text", "absent", "other", "list"])
def test_a_damaged_file_is_named_with_the_remedy(torch, checkpoint, damage):
    whole = checkpoint.read_bytes()
    match damage:
        case "empty":
            checkpoint.write_bytes(b"")
        case "truncated":
            checkpoint.write_bytes(whole[: len(whole) // 2])
        case "text":
            checkpoint.write_text("version https://git-lfs.github.com/spec/v1\n")
        case "absent":
            checkpoint.unlink()
        case "other":
            torch.save({"linear.weight": torch.zeros(2, 2)}, checkpoint)
        case "list":
            torch.save([1, 2], checkpoint)
    with pytest.raises(
        ModelFileError, match=r"means\.pt is not a checkpoint of Means.*sonorant pull"
    ) as error:
        Torch(checkpoint, build, SIGNATURE)
    assert "\n" not in str(error.value)


def test_a_checkpoint_runs_no_code(torch, checkpoint, tmp_path):
    torch.save({"linear.weight": Harm(tmp_path / "harm")}, checkpoint)
    with pytest.raises(ModelFileError, match=r"means\.pt"):
        Torch(checkpoint, build, SIGNATURE)
    assert not (tmp_path / "harm").exists()


def test_a_torch_that_reads_unsafely_is_refused(torch, checkpoint, monkeypatch):
    monkeypatch.setattr(torch, "__version__", type(torch.__version__)("2.5.1"))
    with pytest.raises(EngineError, match=r"2\.5\.1.*CVE-2025-32434.*torch>=2\.6"):
        Torch(checkpoint, build, SIGNATURE)


@pytest.mark.parametrize("device", ["gpu", "", "cuda:x", "cpu:1", "auto:0"])
def test_what_is_no_device_is_refused(torch, checkpoint, device):
    with pytest.raises(EngineError, match="is not a device"):
        Torch(checkpoint, build, SIGNATURE, device)


def test_a_device_that_is_not_here_is_refused_never_replaced(torch, checkpoint):
    with pytest.raises(EngineError, match=r"no device cuda:99.*--device cpu"):
        Torch(checkpoint, build, SIGNATURE, "cuda:99")


def test_auto_takes_what_there_is_and_says_so(torch, checkpoint):
    expected = "cuda:0" if torch.cuda.is_available() else "cpu"
    assert Torch(checkpoint, build, SIGNATURE, "auto").provider.endswith(f" on {expected}")


def threads(*lines: str, **environment: str) -> int:
    """torch's, in a process of its own."""
    code = "\n".join([*lines, "import torch; print(torch.get_num_threads())"])
    kept = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | environment
    done = subprocess.run(
        [sys.executable, "-c", code], env=kept, capture_output=True, text=True, check=True, timeout=120
    )
    return int(done.stdout)


def test_a_run_takes_one_thread_unless_somebody_chose():
    ours = "from sonorant.networks.engines.torch import torch_device; torch_device('cpu')"
    assert threads(ours) == 1
    assert threads("import torch; torch.set_num_threads(5)", ours) == 5
    assert threads(ours, OMP_NUM_THREADS="2") == threads(OMP_NUM_THREADS="2")


def test_a_checkpoint_with_code_is_refused_without_torchs_advice_to_run_it(torch, tmp_path):
    """torch says that weights_only=False "will likely succeed"."""
    torch.save({"layer": argparse.Namespace()}, tmp_path / "means.pt")
    with pytest.raises(ModelFileError) as told:
        load_module(tmp_path / "means.pt", lambda: torch.nn.Linear(2, 2))
    assert "argparse.Namespace" in str(told.value)
    assert "sonorant doctor" in told.value.remedy
    assert not re.search("weights_only|Re-running|add_safe_globals", str(told.value))
