"""A user's own file that cannot be prepared: what is said of it mends it."""

from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from sonorant.errors import ModelFileError, RequestError
from sonorant.prepare.graph import subject


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="There is no file"):
        subject(tmp_path / "none.onnx")


def test_a_graph_that_runs_in_circles_is_for_the_doctor(tmp_path: Path) -> None:
    """It was advised to pull the model again: no catalogue has it."""
    nodes = [("Add", ["b", "x"], ["a"]), ("Relu", ["a"], ["b"]), ("Relu", ["b"], ["y"])]
    graph = helper.make_graph(
        [helper.make_node(*node) for node in nodes],
        "cyclic",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    path = tmp_path / "cyclic.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())
    assert onnx.load(path).graph.name == "cyclic"
    with pytest.raises(ModelFileError, match="acyclic") as told:
        subject(path)
    assert told.value.remedy == f"`sonorant doctor {path}` tells what is wrong with it"
