"""torch's operators, by torch's own profiler."""

from pathlib import Path

import numpy as np
import pytest

from sonorant.networks.signature import Axis, Signature, Tensor
from sonorant.prepare.profile.torch_trace import WatchedTorch

torch = pytest.importorskip("torch")


def test_operators_of_a_module_with_their_flops(tmp_path: Path) -> None:
    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.Linear(6, 4)

        def forward(self, x: object) -> object:
            return torch.relu(self.layer(x))

    torch.save(Net().state_dict(), tmp_path / "net.pt")
    frames = Axis("frames", typical=5)
    signature = Signature((Tensor("x", "float32", (frames, 6)),), (Tensor("y", "float32", (frames, 4)),))
    engine = WatchedTorch(tmp_path / "net.pt", Net, signature)
    engine.begin()
    engine.prepare({"x": np.zeros((5, 6), np.float32)})()
    (run,) = engine.end()
    assert {"aten::addmm", "aten::relu"} <= {operator.kind for operator in run.operators}
    assert (
        sum(operator.work.flops or 0 for operator in run.operators if operator.kind == "aten::addmm") == 240
    )
    assert sum(operator.alone for operator in run.operators) <= run.seconds
    engine.prepare({"x": np.zeros((5, 6), np.float32)})()
    assert engine.end() == []
