"""What must stay in float32 is found by measuring, and named."""

from dataclasses import replace

import numpy as np
import onnx

from prepare import graphs
from prepare.faults import loud
from sonorant.networks.signature import Axis
from sonorant.prepare import divergence
from sonorant.prepare.graph import subject as read
from sonorant.prepare.making import derive
from sonorant.prepare.parity import compared, reference
from sonorant.prepare.passes import PASSES, recipe
from sonorant.prepare.passes.kind import Material, named


def test_the_layer_that_float16_breaks_is_named_and_stays_in_float32(made, tmp_path):
    subject, found = made(loud)
    broken = PASSES["float16"].apply(named(subject.model()), Material())
    layer = divergence.first(subject, subject.model(), broken, found.usual, 40.0)
    assert (layer.op, layer.node) == ("Mul", "louder")
    evidence = derive(tmp_path, subject, recipe("float16"))
    assert evidence.fault == ""
    assert evidence.worst > 40
    assert any("Mul louder" in note for note in evidence.notes)
    mended = onnx.load(tmp_path / "model.onnx")
    kinds = {w.name: w.data_type for w in mended.graph.initializer}
    assert onnx.TensorProto.FLOAT16 in kinds.values(), "the other layers are in float16"


def test_a_layer_that_8_bits_break_is_left_out_and_the_others_are_not(tmp_path):
    path, outlying = graphs.outlying(tmp_path / "outliers.onnx")
    subject = read(path)
    subject = replace(subject, recorded=tuple(subject.signature.example(seed=i) for i in range(3)))
    (tmp_path / "made").mkdir()
    evidence = derive(tmp_path / "made", subject, replace(recipe("int8"), passes=(stricter(),)))
    assert evidence.fault == ""
    assert any("stay in float32" in note for note in evidence.notes)
    kept = [n.name for n in onnx.load(tmp_path / "made" / "model.onnx").graph.node if n.op_type == "MatMul"]
    assert outlying in kept
    assert "layers changed" in evidence.notes[0]


def stricter():
    return replace(PASSES["int8"], least_snr=30.0)


def test_a_pass_that_changes_nothing_makes_no_artefact(made, tmp_path):
    subject, _ = made(graphs.vocoder)  # it has no matrices
    evidence = derive(tmp_path, subject, recipe("int8"))
    assert evidence.fault == "there is nothing in it that int8 changes"
    assert evidence.unchanged


def test_what_tidies_up_and_finds_nothing_to_do_does_not_stop_the_rest(made, tmp_path):
    subject, _ = made(graphs.transformer)
    for name in ("slim", "both", "idle"):
        (tmp_path / name).mkdir()
    derive(tmp_path / "slim", subject, recipe("slim"))
    tidied = (
        read(tmp_path / "slim" / "model.onnx") if (tmp_path / "slim" / "model.onnx").exists() else subject
    )
    tidied = replace(tidied, recorded=tuple(tidied.signature.example(seed=i) for i in range(3)))
    assert derive(tmp_path / "idle", tidied, recipe("slim")).unchanged
    evidence = derive(tmp_path / "both", tidied, recipe("slim+int8"))
    assert not evidence.unchanged
    assert evidence.notes[0] == "there is nothing in it that slim changes"
    assert (tmp_path / "both" / "model.onnx").exists()


def test_lengths_and_batches_and_extremes_are_compared(made):
    _subject, found = made(graphs.masked)
    told = [case.data for case in found.cases]
    assert told == [
        "real 1: 1 batch, 60 frames", "real 2: 1 batch, 100 frames", "real 3: 1 batch, 140 frames",
        "shortest: 1 batch, 1 frames", "short: 1 batch, 61 frames", "long: 1 batch, 211 frames",
        "2 rows", "3 rows", "2 rows, one with padding", "zeros alone", "largest values", "smallest values",
    ]  # fmt: skip
    padded = next(case for case in found.cases if "padding" in case.data)
    assert padded.feeds["lengths"].tolist() == [100, 60]
    assert not padded.feeds["feats"][1, 60:].any()


def test_noise_that_a_network_draws_does_not_count(tmp_path):
    net = graphs.Graph()
    noise = net.node("RandomNormalLike", "x", dtype=1)
    path = net.save(
        tmp_path / "noisy.onnx",
        [("x", graphs.FLOAT, ["batch", "steps"])],
        [(net.node("Add", "x", noise), "y", ["batch", "steps"])],
    )
    subject = read(path)
    again = compared(subject, reference(subject), subject.model())
    assert all(each.close(100) for each in again)


def test_the_signature_of_a_bare_file(tmp_path):
    subject = read(graphs.masked(tmp_path / "masked.onnx"), {"frames": 30})
    feats, lengths = subject.signature.inputs
    assert [d.name for d in feats.dims if isinstance(d, Axis)] == ["batch", "frames"]
    assert lengths.lengths_of == "frames"
    assert subject.signature.example()["feats"].shape == (1, 30, 16)
    subject = read(graphs.transformer(tmp_path / "transformer.onnx"))
    [ids] = subject.signature.inputs
    assert (ids.low, ids.high) == (0, graphs.TOKENS - 1)
    assert subject.signature.example()["ids"].dtype == np.int64


def test_a_subject_is_read_as_it_was_saved(made, tmp_path):
    subject, _ = made(graphs.masked)
    subject.save(tmp_path)
    read = type(subject).read(tmp_path)
    assert (read.name, read.path, read.signature) == (subject.name, subject.path, subject.signature)
    for a, b in zip(read.recorded, subject.recorded, strict=True):
        assert all(np.array_equal(a[name], b[name]) for name in b)
