"""Channels are taken out of pairs of layers, and of both alike."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from prepare import graphs
from sonorant.prepare import divergence
from sonorant.prepare.making import derive
from sonorant.prepare.parity import compared
from sonorant.prepare.passes import recipe
from sonorant.prepare.passes.kind import Material, named
from sonorant.prepare.passes.prune import prune


@pytest.mark.parametrize(("network", "before", "after"), [
    (graphs.vocoder, (32, 16, 7), (24, 16, 7)), (graphs.transformer, (32, 128), (32, 88)),
])  # fmt: skip
def test_a_third_of_the_channels_goes_and_the_network_still_runs(made, network, before, after):
    subject, found = made(network)
    model = subject.model()
    less = prune(named(subject.model()), Material(), ratio=0.3)
    shapes = [[tuple(w.dims) for w in each.graph.initializer] for each in (model, less)]
    changed = [(a, b) for a, b in zip(*shapes, strict=True) if a != b]
    assert (before, after) in changed
    assert all(np.prod(b) < np.prod(a) for a, b in changed)
    for each in compared(subject, found, less):
        assert all(np.isfinite(difference) for difference in each.differences.values())


def test_channels_that_do_nothing_are_the_first_to_go_and_nothing_is_lost(made, tmp_path):
    subject, _ = made(graphs.vocoder)
    model = subject.model()
    weights = {w.name: w for w in model.graph.initializer}
    first = next(node for node in model.graph.node if node.op_type == "Conv")
    for name in first.input[1:]:
        value = numpy_helper.to_array(weights[name]).copy()
        value[::4] = 0  # eight of 32
        weights[name].CopyFrom(numpy_helper.from_array(value, name))
    quiet = type(subject)(
        subject.name, tmp_path / "quiet.onnx", subject.signature, subject.recorded, (), subject.options
    )
    onnx.save(model, quiet.path)
    folder = tmp_path / "made"
    folder.mkdir()
    evidence = derive(folder, quiet, recipe("prune-25"))
    assert evidence.exact, "only channels that were zero have gone"
    assert (folder / "model.onnx").stat().st_size < 0.9 * quiet.path.stat().st_size


def test_channels_that_others_look_at_stay(made):
    subject, _ = made(graphs.vocoder)
    less = prune(named(subject.model()), Material(), ratio=0.5)
    residual = {w.name: tuple(w.dims) for w in subject.model().graph.initializer}
    kept = {w.name: tuple(w.dims) for w in less.graph.initializer}
    summed = next(node for node in less.graph.node if node.op_type == "Add").input
    makers = {name: node for node in less.graph.node for name in node.output}
    for name in summed:
        weight = makers[name].input[1]
        axis = 1 if makers[name].op_type == "ConvTranspose" else 0
        assert kept[weight][axis] == residual[weight][axis]


def test_a_layer_with_fewer_channels_is_not_what_parts_from_the_source(made):
    subject, found = made(graphs.vocoder)
    less = recipe("prune-70").passes[0].apply(named(subject.model()), Material())
    layer = divergence.first(subject, subject.model(), less, found.usual, 60.0)
    assert np.isfinite(layer.snr), "its outputs have the shape of the source's, and differ"
    assert layer.op == "ConvTranspose", "it is fed by what was pruned"
    zeroed = next(w for w in less.graph.initializer if len(w.dims) == 3)
    zeroed.CopyFrom(numpy_helper.from_array(np.full(tuple(zeroed.dims), np.nan, np.float32), zeroed.name))
    layer = divergence.first(subject, subject.model(), less, found.usual, 60.0)
    assert "is not finite" in layer.note
