"""What the settings say of single networks: taken, or refused with what makes it."""

from dataclasses import replace
from pathlib import Path

import pytest

from hosts import Home, host, kept
from prepare import graphs
from sonorant.errors import EngineError, ModelError, SettingsError
from sonorant.families.local import local_card
from sonorant.networks import Signature
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.torch_options import TorchOptions
from sonorant.networks.prepared import PreparedEngine, computing
from sonorant.networks.targets import ONNX_FILE
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import NetworkSettings
from sonorant.tasks import Task


@pytest.fixture
def net(tmp_path) -> Path:
    return graphs.transformer(tmp_path / "net.onnx")


def test_an_artefact_that_is_named_serves_although_it_is_slower(tmp_path, net):
    kept(tmp_path, net, "slim")
    assert not isinstance(host(tmp_path).engine("net", net), PreparedEngine)
    for precision in ("auto", "float32"):
        named = host(tmp_path, precision, artefact="slim").engine("net", net)
        assert isinstance(named, PreparedEngine)
    assert not isinstance(host(tmp_path, artefact="slim").engine("other", net), PreparedEngine)


def test_the_publishers_file_serves_where_it_is_named(tmp_path, net):
    kept(tmp_path, net, "slim", speed=3.0)
    assert isinstance(host(tmp_path).engine("net", net), PreparedEngine)
    assert not isinstance(host(tmp_path, artefact="published").engine("net", net), PreparedEngine)


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"artefact": "int8"}, "No int8 of it is proven .* `sonorant prepare voice --to int8`"),
        ({"artefact": "slim"}, "No slim of it is proven .* `sonorant prepare voice --to slim`"),
        ({"engine": "openvino"}, "No openvino of it is proven .* `sonorant prepare voice --to openvino`"),
        ({"engine": "tensorrt", "artefact": "int8-tensorrt+tensorrt"}, "--to int8-tensorrt.tensorrt"),
        ({"engine": "torch"}, "torch computes checkpoints"),
    ],
)
def test_what_is_not_there_or_not_proven_is_refused_with_what_makes_it(tmp_path, net, chosen, message):
    kept(tmp_path, net, "slim", snr=20.0)  # its quality has not been measured
    with pytest.raises(
        ModelError, match=f"net of voice cannot be served as networks.voice.net says.*{message}"
    ):
        host(tmp_path, **chosen).engine("net", net)


def test_threads_are_those_of_the_network(tmp_path, net):
    engine = computing(host(tmp_path, threads=3).engine("net", net, intra_op_num_threads=1))
    assert isinstance(engine, OnnxRuntime)
    assert engine.session.get_session_options().intra_op_num_threads == 3


def test_a_network_that_the_model_does_not_have_is_answered_with_those_that_it_has(tmp_path, net):
    replica = host(tmp_path, network="nett", threads=1)
    engine = replica.engine("net", net)
    replica.network("net", Signature(engine.inputs, engine.outputs), engine)
    with pytest.raises(SettingsError, match=r"networks.voice names 'nett'.*Its networks: net"):
        replica.check()


def test_a_session_is_on_what_is_proven_and_never_of_another_engine(tmp_path, net):
    artefact = kept(tmp_path, net, "slim", speed=3.0)
    session = host(tmp_path).session("net", net)
    assert session.source == str(artefact.folder / ONNX_FILE)
    with pytest.raises(ModelError, match="openvino cannot run its loop of decoding"):
        host(tmp_path, engine="openvino").session("net", net)
    with pytest.raises(ModelError, match="No slim of it is proven on this machine"):
        host(tmp_path, artefact="slim").session("net", net, derived=net.read_bytes())


def test_a_model_may_be_called_by_an_alias(tmp_path, net):
    card = local_card(
        tmp_path / "voice", family="piper", task=Task.SPEECH, languages=("en",), sample_rate=16_000
    )
    card = replace(card, aliases=("sound",))
    networks = {"sound": {"net": NetworkSettings(threads=3)}}
    engine = ReplicaHost(card, Home(tmp_path / "home"), Device("cpu"), {}, networks=networks).engine(
        "net", net
    )
    assert computing(engine).session.get_session_options().intra_op_num_threads == 3


def test_options_of_torch_reach_the_engine(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr("sonorant.replica.host.Torch", lambda *arguments: made.append(arguments[-1]))
    chosen = {
        "engine": "torch",
        "torch": {"compile": "default", "cuda_graphs": True, "sdpa_kernel": ["MATH"]},
    }
    host(tmp_path, **chosen).torch("net", tmp_path / "net.pt", dict, Signature((), ()))
    host(tmp_path, engine="torch").torch("net", tmp_path / "net.pt", dict, Signature((), ()))
    assert made == [TorchOptions("default", ("MATH",), True), TorchOptions()]


def test_what_is_on_trial_is_never_replaced_by_its_source(tmp_path, net, monkeypatch):
    """Or its source would be judged, and the artefact pass by that."""
    kept(tmp_path, net, "slim", speed=3.0)
    engine = host(tmp_path, "trial:prepared-2.slim").engine("net", net)
    assert isinstance(engine, PreparedEngine)
    with pytest.raises(EngineError, match="net gave what is not finite"):
        engine._fell("not finite")

    def full(*_: object) -> None:
        raise EngineError("there is no memory left")

    monkeypatch.setattr("sonorant.networks.targets.load", full)
    with pytest.raises(EngineError, match="no memory"):
        host(tmp_path, "trial:prepared-2.slim").engine("net", net)
