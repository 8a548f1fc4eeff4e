"""Measured figures, as they leave the process that measured them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured figure of a process, counted from its start. observe/measures.py knows what it means."""

    name: str
    labels: tuple[str, ...]
    """values, in the order in which its measure names the labels"""
    value: float
    """a histogram's: the sum of all observations"""
    buckets: tuple[int, ...] = ()
    """a histogram's: observations in each bucket, those beyond the last bound at the end"""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All figures of one registry at a moment. Plain values: any encoding carries them in a message."""

    source: str
    """which registry, among all that ever were: a process that was restarted has another"""
    figures: tuple[Figure, ...] = ()
