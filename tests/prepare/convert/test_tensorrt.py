"""TensorRT's builder, driven through TensorRT for RTX, which needs no GPU to build."""

import json
from dataclasses import replace

import onnx
import pytest
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.transformers import float16

from sonorant.errors import EngineError, MissingExtraError, ModelFileError, UnsupportedError
from sonorant.networks import cut, extract, windows
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.tensorrt_library import Gpu, Library, library
from sonorant.networks.locality import Graph
from sonorant.prepare.convert import tensorrt

heavy = pytest.mark.heavy  # needs tensorrt-rtx, which `make test-systems` installs


class Fed(CalibrationDataReader):
    def __init__(self, feeds):
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


@heavy
def test_a_vocoder_builds_for_all_sizes_of_its_signature(vocoder, tmp_path):
    path, signature = vocoder
    said = []
    cache = tmp_path / "timing.cache"
    converted = tensorrt.convert(
        path,
        signature,
        tmp_path / "trt",
        timing_cache=cache,
        progress=lambda share, doing: said.append((share, doing)),
    )
    assert converted.path.stat().st_size > 1000
    described = json.loads(converted.path.with_suffix(".json").read_text())
    assert described["profile"]["mel"] == [[1, 6, 2], [1, 6, 40], [8, 6, 400]]
    assert described["layers"] > 10
    assert any(doing.startswith("build") for _, doing in said)
    assert all(0 <= share <= 1 for share, _ in said)
    assert converted.path.name.startswith("tensorrt")


@heavy
def test_an_engine_that_was_not_run_is_not_proven(vocoder, tmp_path):
    path, signature = vocoder
    assert "has not been run" in tensorrt.convert(path, signature, tmp_path / "trt").evidence.fault


@heavy
@pytest.mark.parametrize("form", ["float32", "float16", "int8"])
def test_a_transformer_builds_in_the_precision_of_its_file(transformer, tmp_path, form):
    path, signature = transformer
    if form == "float16":
        onnx.save(float16.convert_float_to_float16(onnx.load(path), keep_io_types=True), path)
    if form == "int8":
        feeds = [signature.example(seed=i) for i in range(3)]
        options = {
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "QuantizeBias": False,
            "AddQDQPairToWeight": True,
        }
        quantize_static(
            path, tmp_path / "int8.onnx", Fed(feeds), quant_format=QuantFormat.QDQ, per_channel=True,
            op_types_to_quantize=["MatMul", "Conv"], activation_type=QuantType.QInt8, weight_type=QuantType.QInt8,
            extra_options=options,
        )  # fmt: skip
        path = tmp_path / "int8.onnx"
    converted = tensorrt.convert(path, signature, tmp_path / "trt", axes={"frames": (2, 40, 100)})
    assert json.loads(converted.path.with_suffix(".json").read_text())["profile"]["x"] == [
        [1, 2, 64],
        [1, 40, 64],
        [8, 100, 64],
    ]
    assert converted.path.stat().st_size > 1000


@heavy
def test_a_vits_builds_whole_where_it_is_told_how_long_items_may_be(voice, tmp_path):
    path, signature = voice
    with pytest.raises(ModelFileError, match=r"does not take voice\.onnx\. Range"):
        tensorrt.convert(path, signature, tmp_path / "trt")
    converted = tensorrt.convert(path, signature, tmp_path / "trt", steps=4)
    assert "4 steps for each item: what would be longer is cut short" in converted.notes
    described = json.loads(converted.path.with_suffix(".json").read_text())
    assert described["profile"]["ids"] == [[1, 2], [1, 12], [8, 40]]
    assert converted.path.stat().st_size > 1000


@heavy
def test_an_input_that_holds_sizes_gets_the_values_of_the_signature(vocoder, tmp_path):
    """The part of a cut network that is told how much to crop."""
    path, _ = vocoder
    model = onnx.load(path)
    graph = Graph(model)
    [(stage, crops)] = cut.find(graph, "audio")
    assert stage.crops, "this network is too small to be cropped"
    onnx.save(extract.stage_part(model, graph, stage, crops), tmp_path / "stage.onnx")
    declared = windows.signature(stage, OnnxRuntime(tmp_path / "stage.onnx"), 40)
    converted = tensorrt.convert(tmp_path / "stage.onnx", declared, tmp_path / "trt")
    described = json.loads(converted.path.with_suffix(".json").read_text())
    count, most = len(stage.crops), 2**31 - 1
    assert described["values"] == {"crops": [[0, 0] * count, [0, most] * count, [most, most] * count]}
    assert described["profile"][stage.inputs[0].name] == [[1, 6, 1], [1, 6, 40], [8, 6, 320]]
    endless = replace(declared, inputs=tuple(replace(t, high=None) for t in declared.inputs))
    with pytest.raises(UnsupportedError, match=r"crops holds sizes of other tensors.*does not say between"):
        tensorrt.convert(tmp_path / "stage.onnx", endless, tmp_path / "trt")


@heavy
def test_a_dynamically_quantised_graph_is_refused_with_the_remedy(transformer, tmp_path):
    path, signature = transformer
    quantize_dynamic(path, tmp_path / "int8.onnx", op_types_to_quantize=["MatMul"])
    with pytest.raises(UnsupportedError, match=r"DynamicQuantizeLinear, MatMulInteger.*static ranges"):
        tensorrt.convert(tmp_path / "int8.onnx", signature, tmp_path / "trt")


@heavy
def test_an_operator_that_its_parser_lacks_is_named(vocoder, tmp_path):
    path, signature = vocoder
    model = onnx.load(path)
    model.graph.node[3].domain, model.graph.node[3].op_type = "com.example", "Mystery"
    onnx.save(model, path)
    with pytest.raises(ModelFileError, match=r"does not take vocoder\.onnx.*Mystery.*ONNX Runtime"):
        tensorrt.convert(path, signature, tmp_path / "trt")


@heavy
def test_a_build_that_takes_too_long_ends(vocoder, tmp_path):
    path, signature = vocoder
    with pytest.raises(EngineError, match="did not finish within"):
        tensorrt.convert(path, signature, tmp_path / "trt", seconds=0.1)


def test_float8_is_refused_on_a_gpu_without_it(vocoder):
    path, _ = vocoder
    model = onnx.load(path)
    model.graph.initializer.append(
        onnx.helper.make_tensor("w8", onnx.TensorProto.FLOAT8E4M3FN, [2], b"\0\0", raw=True)
    )
    with pytest.raises(UnsupportedError, match=r"no FP8: its compute capability is 8\.6.*int8"):
        tensorrt._refuse(model, (8, 6))
    tensorrt._refuse(model, (8, 9))


def test_engines_are_told_apart_by_library_version_and_gpu():
    rtx = Library("tensorrt-rtx", type("module", (), {"__version__": "1.7.1.116"}))
    assert tensorrt.key(rtx, None) == "tensorrt-rtx-1.7.1.116-any"
    assert tensorrt.key(rtx, Gpu("NVIDIA A10G", (8, 6))) == "tensorrt-rtx-1.7.1.116-nvidia-a10g-sm86"


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setattr("importlib.import_module", lambda name: (_ for _ in ()).throw(ImportError(name)))
    with pytest.raises(MissingExtraError, match=r"sonorant\[tensorrt\]"):
        library()


def test_a_tensorrt_that_is_too_old_is_refused(monkeypatch):
    old = type("module", (), {"__version__": "8.6.1"})
    monkeypatch.setattr("importlib.import_module", lambda name: old)
    with pytest.raises(EngineError, match=r"8\.6\.1 is too old"):
        library()
