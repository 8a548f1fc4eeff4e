"""The torch checkpoints of a model, its parts' included."""

from __future__ import annotations

from sonorant.catalogue import Catalogue
from sonorant.confined import Progress, left
from sonorant.errors import UnsupportedError
from sonorant.families import family, resolve
from sonorant.networks.checkpoint import Checkpoint
from sonorant.prepare.export import export_checkpoint
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import Settings


def export_model(model: str, settings: Settings, progress: Progress | None = None) -> list[dict[str, str]]:
    """Exports all checkpoints of a model: `path` and `recipe` of each. From then on it is served without
    torch, on this machine.

    Raises UnsupportedError where it has none, and what `export_checkpoint` raises.
    """
    device = Device(settings.device)
    try:
        host, checkpoints = _checkpoints(model, settings, device)
        for one in checkpoints:
            export_checkpoint(one, host.artefacts, seconds=left(), progress=progress)
        return [{"path": str(one.path), "recipe": one.recipe} for one in checkpoints]
    finally:
        device.close()


def _checkpoints(model: str, settings: Settings, device: Device) -> tuple[ReplicaHost, list[Checkpoint]]:
    catalogue = Catalogue(settings.catalogue)
    card, folder = resolve(model, catalogue)
    host = ReplicaHost(card, catalogue, device, settings.onnxruntime)
    family(card.family).load(card, folder or catalogue.ensure(card), host)
    host.close()
    if not host.checkpoints:
        raise UnsupportedError(
            f"{card.name} has no torch checkpoint to export",
            why="Its publisher ships ONNX, or a library computes it",
            remedy="Prepare it without export",
        )
    return host, host.checkpoints
