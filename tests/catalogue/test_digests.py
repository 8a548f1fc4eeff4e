"""A model is known by its file, and by the files beside it that hold its weights."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from sonorant.catalogue.digests import beside, identity, sha256, size


@pytest.fixture
def saved(tmp_path):
    """Its weights lie in a file of their own."""

    def save(value: float):
        weight = numpy_helper.from_array(np.full((64, 64), value, np.float32), "w")
        shape = ["n", 64]
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)]
        outputs = [helper.make_tensor_value_info("y", TensorProto.FLOAT, shape)]
        nodes = [helper.make_node("MatMul", ["x", "w"], ["y"])]
        model = helper.make_model(helper.make_graph(nodes, "net", inputs, outputs, [weight]))
        path = tmp_path / "net.onnx"
        (tmp_path / "weights.bin").unlink(missing_ok=True)  # onnx would write behind what is there
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        return path

    return save


def test_a_model_that_is_one_file_is_known_by_its_digest(tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"no graph at all")
    assert (identity(path), beside(path), size(path)) == (sha256(path), [], 15)


def test_other_weights_beside_the_same_graph_are_another_model(saved, tmp_path):
    path = saved(1.0)
    first, graph = identity(path), path.read_bytes()
    assert beside(path) == [tmp_path / "weights.bin"]
    assert size(path) == path.stat().st_size + 4 * 64 * 64
    assert saved(2.0).read_bytes() == graph
    assert identity(path) != first


def test_weights_that_are_not_there_are_no_part_of_it(saved, tmp_path):
    path = saved(1.0)
    (tmp_path / "weights.bin").unlink()
    assert identity(path) == sha256(path)
    assert size(path) == path.stat().st_size
