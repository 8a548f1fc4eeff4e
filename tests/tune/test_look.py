"""What may stand for a network, in which order, and what does already."""

from pathlib import Path

import pytest

import hosts
from hosts import kept
from prepare import graphs
from sonorant.networks import Signature
from sonorant.replica.host import ReplicaHost
from sonorant.tune import look
from sonorant.tune.look import LookingHost, _grouped


@pytest.fixture
def net(tmp_path) -> Path:
    return graphs.transformer(tmp_path / "net.onnx")


def host(tmp_path: Path, **chosen: object) -> LookingHost:
    found = hosts.host(tmp_path, kind=LookingHost, **chosen)
    found.seen, found.warmed = {}, {}
    return found


def seen(replica: LookingHost, engine) -> look.Choices:
    replica.network("net", Signature(engine.inputs, engine.outputs), engine)
    (choices,) = _grouped(replica.seen.values(), {"net": 1.0})
    return choices


def test_the_fastest_by_their_proofs_come_first_with_their_own_file_among_them(tmp_path, net):
    kept(tmp_path, net, "slim", speed=0.9)
    kept(tmp_path, net, "slim+int8", speed=1.4)
    kept(tmp_path, net, "float16", speed=2.5)
    replica = host(tmp_path)
    choices = seen(replica, replica.engine("net", net))
    assert list(choices.artefacts) == ["float16", "slim+int8", "published", "slim"]
    assert choices.artefacts["float16"] == 2.5
    assert choices.in_use == "float16"


def test_what_gains_nothing_is_not_in_use(tmp_path, net):
    kept(tmp_path, net, "slim", speed=0.9)
    replica = host(tmp_path)
    assert seen(replica, replica.engine("net", net)).in_use == "published"
    replica = host(tmp_path)
    assert seen(replica, replica.session("net", net)).in_use == "published"


def test_what_is_exported_may_stand_for_torch_where_the_settings_name_that(tmp_path, net, monkeypatch):
    kept(tmp_path, net, "int8", speed=3.0)
    engine = host(tmp_path).engine("net", net)

    class Torch:
        inputs, outputs, source = engine.inputs, engine.outputs, "checkpoint"
        provider = "torch"

    monkeypatch.setattr(look, "Torch", Torch)
    monkeypatch.setattr(ReplicaHost, "_export", lambda *_: net)
    monkeypatch.setattr(look, "_installed", lambda _: True)
    monkeypatch.setattr(ReplicaHost, "_torch", lambda *_: Torch())
    replica = host(tmp_path, engine="torch")
    signature = Signature(engine.inputs, engine.outputs)
    choices = seen(replica, replica.torch("net", tmp_path / "net.pth", lambda: None, signature))
    assert list(choices.artefacts) == ["int8", "export"]
    assert choices.torch
