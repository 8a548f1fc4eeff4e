"""Replicas: one served model each, on a device's slots."""

from sonorant.replica.device import Device
from sonorant.replica.local import LocalReplica
from sonorant.replica.serving import Replicas

__all__ = ["Device", "LocalReplica", "Replicas"]
