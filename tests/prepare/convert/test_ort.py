"""ONNX to .ort."""

import numpy as np
import onnx
import pytest

from sonorant.errors import EngineError
from sonorant.networks.ort_format import read
from sonorant.prepare.convert import ort


def test_it_computes_the_same_and_is_read_as_ort(vocoder, tmp_path):
    path, signature = vocoder
    converted = ort.convert(path, signature, tmp_path / "ort")
    assert not converted.evidence.fault
    assert len(converted.evidence.comparisons) == 3
    assert converted.path.read_bytes()[4:8] == b"ORTM"
    assert np.isfinite(
        sum(w.sum() for w in read(converted.path, "then_branch").weights.values() if w.dtype == np.float32)
    )


def test_what_onnx_runtime_does_not_read_is_named(vocoder, tmp_path):
    path, signature = vocoder
    model = onnx.load(path)
    model.graph.node[0].op_type = "Mystery"
    onnx.save(model, path)
    with pytest.raises(EngineError, match="Mystery"):
        ort.convert(path, signature, tmp_path / "ort")
