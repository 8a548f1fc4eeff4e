"""Hosts of a model of one network, whose artefacts lie in a folder of the test."""

from pathlib import Path
from typing import TypeVar

from sonorant.families.local import local_card
from sonorant.networks.artefacts import Artefact, Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.prepared import SPEED
from sonorant.networks.proof import Comparison, Evidence
from sonorant.networks.targets import ONNX_FILE
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import NetworkSettings
from sonorant.tasks import Task

Kind = TypeVar("Kind", bound=ReplicaHost)


class Home:
    """A catalogue that has a home for artefacts, and no more."""

    def __init__(self, home: Path) -> None:
        self.store = self
        self.home = home


def host(
    tmp_path: Path,
    precision: str = "auto",
    network: str = "net",
    kind: type[Kind] = ReplicaHost,
    **chosen: object,
) -> Kind:
    """Of the model "voice"; `chosen` is set for its network."""
    card = local_card(
        tmp_path / "voice", family="piper", task=Task.SPEECH, languages=("en",), sample_rate=16_000
    )
    networks = {"voice": {network: NetworkSettings.model_validate(chosen)}} if chosen else {}
    return kind(card, Home(tmp_path / "home"), Device("cpu"), {}, precision=precision, networks=networks)


def kept(tmp_path: Path, net: Path, recipe: str, snr: float = 100.0, speed: float = 0.5) -> Artefact:
    """An artefact that says so much of itself, and is a copy of its source."""

    def make(folder: Path) -> Evidence:
        (folder / ONNX_FILE).write_bytes(net.read_bytes())
        return Evidence("", 0.0, (Comparison("one", {"y": 0.1}, {"y": snr}),), {SPEED: speed}, least_snr=15.0)

    store = Artefacts(tmp_path / "home", described("cpu"))
    return store.make(net, "prepared", f"prepared-2.{recipe}", make)
