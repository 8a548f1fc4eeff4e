"""torch → ONNX: which exporter is believed, and what is said where none can be."""

import numpy as np
import onnx
import pytest

from sonorant.errors import EngineError
from sonorant.networks import BATCH, Axis, Signature, Tensor
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.prepare import export as exporting
from sonorant.prepare.export import IR, OPSET, cases, export

N = Axis("n", min=3, typical=20)
SIGNATURE = Signature((Tensor("x", "float32", (BATCH, N, 4)),), (Tensor("y", "float32", (BATCH, N, 4)),))


def modules():
    import torch
    from torch import nn

    class Honest(nn.Module):
        def __init__(self):
            super().__init__()
            torch.manual_seed(0)
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return torch.tanh(self.linear(x)) + x.mean(1, keepdim=True)

    class Baked(Honest):
        """Its length becomes a number of Python's: the legacy exporter writes that down."""

        def forward(self, x):
            return super().forward(x) * torch.ones(int(x.shape[1])).cumsum(0)[None, :, None]

    class Looped(Honest):
        """As many steps as frames, in Python: neither exporter can say that."""

        def forward(self, x):
            state, outputs = x[:, 0], []
            for i in range(int(x.shape[1])):
                state = torch.tanh(self.linear(state) + x[:, i])
                outputs.append(state)
            return torch.stack(outputs, 1)

    return Honest, Baked, Looped


def test_cases_come_from_the_signature():
    sizes = [tuple(SIGNATURE.check(feeds).values()) for _, feeds in cases(SIGNATURE)]
    assert sizes == [(1, 3), (3, 8), (1, 20), (2, 35)]
    bounded = Axis("n", min=3, typical=20, max=22)
    names = [data for data, _ in cases(Signature((Tensor("x", "float32", (bounded, 4)),), ()))]
    assert names == ["3 n", "8 n", "20 n", "22 n"]


@pytest.mark.heavy  # these need torch, which `make test-systems` installs
class TestWithTorch:
    def test_an_export_is_right_at_every_length_and_pinned(self, tmp_path):
        module = modules()[0]()
        done = export(module, SIGNATURE, tmp_path / "model.onnx")
        assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
        assert not done.evidence.fault
        assert len(done.evidence.comparisons) == 4
        assert {"dynamo, ms", "legacy, ms", "torch, ms", "size, bytes"} == done.evidence.figures.keys()
        model = onnx.load(tmp_path / "model.onnx")
        assert model.ir_version <= IR
        assert model.opset_import[0].version == OPSET
        engine = OnnxRuntime(tmp_path / "model.onnx")
        feeds = SIGNATURE.example(batch=5, n=111)
        expected = exporting.computed(module, feeds, ["y"])["y"]
        np.testing.assert_allclose(engine.prepare(feeds)()["y"], expected, atol=1e-5)

    def test_a_length_that_was_baked_in_is_found(self, tmp_path):
        done = export(modules()[1](), SIGNATURE, tmp_path / "model.onnx")
        assert done.exporter == "dynamo"
        assert "legacy, ms" not in done.evidence.figures

    def test_where_neither_is_right_it_says_what_each_did(self, tmp_path):
        with pytest.raises(EngineError, match="Looped cannot be exported to ONNX") as caught:
            export(modules()[2](), SIGNATURE, tmp_path / "model.onnx")
        assert "dynamo: " in caught.value.why
        assert "legacy: " in caught.value.why
        assert list(tmp_path.iterdir()) == []

    def test_a_wrong_exporter_is_not_believed(self, tmp_path, monkeypatch):
        """One that drops the bias."""
        write = exporting.EXPORTERS["legacy"]

        def faulty(module, signature, path):
            kept, module.linear.bias.data = module.linear.bias.data, module.linear.bias.data * 0
            write(module, signature, path)
            module.linear.bias.data = kept

        monkeypatch.setattr(exporting, "EXPORTERS", {"dynamo": faulty, "legacy": write})
        assert export(modules()[0](), SIGNATURE, tmp_path / "a.onnx").exporter == "legacy"
        monkeypatch.setattr(exporting, "EXPORTERS", {"dynamo": faulty})
        with pytest.raises(EngineError, match="differs by more"):
            export(modules()[0](), SIGNATURE, tmp_path / "b.onnx")
