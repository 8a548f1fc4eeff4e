"""Artefacts for other engines: made by a recipe's last word, proven, and served by what computes them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hosts import host
from prepare import graphs
from prepare.test_command import command
from sonorant.doctor.processor import processor
from sonorant.errors import EngineError, RequestError
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import OnnxRuntime, described
from sonorant.networks.prepared import SPEED, PreparedEngine, precision_of
from sonorant.networks.proof import Quality
from sonorant.prepare.convert.kinds import Limits
from sonorant.prepare.convert.making import convert, derive
from sonorant.prepare.graph import subject as read
from sonorant.prepare.layers import Search
from sonorant.prepare.recipes import Converted, way

heavy = pytest.mark.heavy  # needs openvino, nncf or tensorrt-rtx, which `make test-systems` installs


def made_by(recipe: str, subject, tmp_path: Path):
    found = way(recipe)
    assert isinstance(found, Converted)
    return convert(subject, found, Artefacts(tmp_path / "home", described("cpu")))


def served(artefact, tmp_path: Path, **figures: float) -> None:
    """With such figures, and a quality that passed."""
    evidence = replace(artefact.proof.evidence, figures={**artefact.proof.evidence.figures, **figures})
    store = Artefacts(tmp_path / "home", described("cpu"))
    store.judged(replace(artefact, proof=replace(artefact.proof, evidence=evidence)), Quality({"WER": 0.0}))


@pytest.mark.parametrize(
    ("text", "name", "precision"),
    [
        ("openvino", "openvino", "float32"),
        ("slim+openvino-int8", "slim+openvino-int8", "int8"),
        ("float16+tensorrt", "float16+tensorrt", "float16"),
        ("conv2d+openvino-bfloat16", "conv2d+openvino-bfloat16", "bfloat16"),
        ("int8-static+openvino-bfloat16", "int8-static+openvino-bfloat16", "int8"),
        ("int8-static", "int8-static", "int8"),
    ],
)
def test_a_recipe_may_end_in_an_engine(text, name, precision):
    assert (way(text).name, way(text).precision) == (name, precision)
    assert precision_of(way(text).id) == precision


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("openvin", "Did you mean 'openvino'.*Known: slim"),
        ("tensorrt+slim", "Nothing can come after tensorrt"),
        ("+", r"Beside a \+ of"),
    ],
)
def test_a_recipe_that_is_none_is_refused(text, message):
    with pytest.raises(RequestError, match=message):
        way(text)


def test_an_ort_file_is_proven_and_serves(made, tmp_path):
    subject, _ = made(graphs.transformer)
    artefact = made_by("slim+ort", subject, tmp_path)
    assert artefact.proof.served, artefact.proof.evidence.fault
    assert [file.name for file in artefact.folder.iterdir() if file.suffix == ".ort"] == ["model.ort"]
    served(artefact, tmp_path, **{SPEED: 2.0})
    engine = host(tmp_path, "auto").engine("net", subject.path)
    assert isinstance(engine, PreparedEngine)
    assert engine.source.endswith("model.ort")
    feeds = subject.recorded[0]
    assert engine.prepare(feeds)()["logits"].shape == (1, feeds["ids"].shape[1], graphs.TOKENS)


@heavy
def test_openvino_serves_where_it_is_the_fastest_and_falls_back_where_it_misbehaves(
    made, tmp_path, monkeypatch
):
    subject, found = made(graphs.vocoder)
    artefact = made_by("openvino", subject, tmp_path)
    assert artefact.proof.served, artefact.proof.evidence.fault
    assert artefact.proof.bindings.engine.startswith("OpenVINO ")
    served(artefact, tmp_path, **{SPEED: 2.0})
    engine = host(tmp_path, "auto").engine("net", subject.path, intra_op_num_threads=1)
    assert engine.provider.startswith("OpenVINO")
    expected = found.outputs[0]
    ours = engine.prepare(found.cases[0].feeds)()
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-4)
    call = type(engine.computing.prepare(found.cases[0].feeds))
    real = call.__call__
    monkeypatch.setattr(call, "__call__", lambda self: {n: v * np.nan for n, v in real(self).items()})
    ours = engine.prepare(found.cases[0].feeds)()
    assert engine.provider == "CPUExecutionProvider"
    for name, value in expected.items():
        np.testing.assert_allclose(ours[name], value, atol=1e-5)


@heavy
def test_openvino_in_8_bits_must_be_listened_to(made, tmp_path):
    subject, _ = made(graphs.vocoder)
    artefact = made_by("openvino-int8", subject, tmp_path)
    proof = artefact.proof
    assert proof.holds, proof.evidence.fault
    assert not proof.served
    assert proof.evidence.worst < 70
    with pytest.raises(RequestError, match="measured on real speech only"):
        made_by("openvino-int8", replace(subject, recorded=()), tmp_path)


@heavy
def test_layers_that_8_bits_break_in_openvino_stay_in_float32(tmp_path):
    path, outlying = graphs.outlying(tmp_path / "outliers.onnx")
    subject = read(path)
    subject = replace(subject, recorded=tuple(subject.signature.example(seed=i) for i in range(3)))
    found = way("openvino-int8")
    strict = replace(found, conversion=replace(found.conversion, least_snr=30.0))
    search = Search()
    artefact = convert(subject, strict, Artefacts(tmp_path / "home", described("cpu")), search=search)
    assert artefact.proof.holds, artefact.proof.evidence.fault
    layers = search.layers["openvino-int8"]
    assert outlying not in layers.changed
    assert layers.changed
    assert "layers changed, which have" in artefact.proof.evidence.notes[0]
    search.refused({"wer_increase": (0.05, 0.02)})
    fewer = convert(subject, strict, Artefacts(tmp_path / "home", described("cpu")), search=search)
    assert "refused by the quality gate" in fewer.proof.evidence.notes[0]
    assert len(search.layers["openvino-int8"].changed) < len(layers.changed)


@heavy
def test_openvino_computes_in_bfloat16_where_the_processor_can(made, tmp_path):
    subject, found = made(graphs.vocoder)
    if "BF16" not in processor().instructions:
        with pytest.raises(EngineError, match="does not compute in bf16.*AVX512-BF16"):
            made_by("openvino-bfloat16", subject, tmp_path)
        return
    artefact = made_by("openvino-bfloat16", subject, tmp_path)
    proof = artefact.proof
    assert proof.holds, proof.evidence.fault
    assert not proof.served, "nobody has listened"
    assert proof.evidence.worst < 60
    served(artefact, tmp_path, **{SPEED: 2.0})
    engine = host(tmp_path, "bfloat16").engine("net", subject.path)
    assert engine.provider.endswith("CPU bf16")
    case, expected = found.cases[0], found.outputs[0]
    rounded = {n: _bfloat16(v) if v.dtype == np.float32 else v for n, v in case.feeds.items()}
    source, ours = OnnxRuntime(subject.path).prepare(rounded)(), engine.prepare(case.feeds)()
    for name, value in expected.items():
        assert np.abs(ours[name] - value).mean() < np.abs(ours[name] - source[name]).mean(), (
            "inputs stay whole"
        )


def _bfloat16(value):
    """Rounded to it."""
    bits = value.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).astype(np.uint32).view(np.float32)


@heavy
def test_what_is_in_8_bits_stays_so_where_the_rest_is_bfloat16(made, tmp_path):
    if "BF16" not in processor().instructions:
        pytest.skip("no bfloat16 here")
    subject, _ = made(graphs.vocoder)
    search = Search()
    store = Artefacts(tmp_path / "home", described("cpu"))
    artefact = convert(subject, way("int8-static+openvino-bfloat16"), store, search=search)
    assert artefact.proof.holds, artefact.proof.evidence.fault
    assert search.layers["int8-static"].changed
    assert 'element_type="i8"' in (artefact.folder / "model.xml").read_text()


@heavy
def test_without_openvino_its_artefact_stands_for_nothing(made, tmp_path, monkeypatch):
    subject, _ = made(graphs.vocoder)
    served(made_by("openvino", subject, tmp_path), tmp_path, **{SPEED: 2.0})
    monkeypatch.setattr("sonorant.networks.targets._version", lambda package: "")
    assert not isinstance(host(tmp_path, "auto").engine("net", subject.path), PreparedEngine)


@heavy
def test_a_tensorrt_engine_that_cannot_be_run_here_is_built_and_not_proven(tmp_path):
    path = graphs.transformer(tmp_path / "net.onnx")
    (axis,) = json.loads(_sizes(path))
    done = command(tmp_path / "home", str(path), "--to", "tensorrt", "--json", "--profile", f"{axis}=1,50,90")
    [row] = json.loads(done.stdout)
    assert done.returncode == 1
    assert row["proven"] is False
    told = " ".join(row["remarks"])
    assert "no NVIDIA GPU here" in told
    assert "built by tensorrt-rtx" in told
    assert f"for {axis} 1–50–90" in told


def _sizes(path: Path) -> str:
    from sonorant.networks import BATCH
    from sonorant.networks.signature import Axis
    from sonorant.prepare.graph import subject

    dims = {d.name for t in subject(path).signature.inputs for d in t.dims if isinstance(d, Axis)}
    return json.dumps(sorted(dims - {BATCH.name}))


def test_sizes_of_an_engine_are_checked_before_anything_is_built(tmp_path):
    path = graphs.transformer(tmp_path / "net.onnx")
    for wrong, message in (("x=1,2", "is not AXIS=MIN,OPT,MAX"), ("mel=1,2,3", "has an axis 'mel'")):
        done = command(tmp_path / "home", str(path), "--to", "tensorrt", "--profile", wrong)
        assert done.returncode == 1
        assert message in done.stderr


def test_a_loop_of_decoding_stays_with_onnx_runtime(made, tmp_path):
    subject, _ = made(graphs.transformer)
    evidence = derive(
        tmp_path, replace(subject, loop=True), way("openvino"), "cpu", lambda *_: None, Limits()
    )
    assert evidence.fault.startswith("a loop of decoding keeps its tensors in ONNX Runtime")
