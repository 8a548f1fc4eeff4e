"""Findings that several formats have in common."""

from __future__ import annotations

from collections.abc import Sequence

from sonorant.doctor.model.finding import ERROR, Finding, Subject, some


def truncated(subject: Subject, why: str) -> Finding:
    """It ends before what it says of itself does."""
    return Finding(
        "truncated",
        ERROR,
        what="The file is truncated",
        why=why,
        remedy=subject.again,
        where=subject.name,
    )


def damaged(subject: Subject, why: str, tensors: str = "") -> Finding:
    """It has a part that cannot be."""
    return Finding(
        "damaged",
        ERROR,
        what="The file is damaged",
        why=why,
        remedy=subject.again,
        where=f"{subject.name}: {tensors}" if tensors else subject.name,
    )


def unreadable(where: str, error: OSError) -> Finding:
    """What exists, and this user may not read, or the disk does not give."""
    return Finding(
        "unreadable",
        ERROR,
        what="The file or folder cannot be read",
        why=str(error.strerror or error),
        remedy="Check its permissions (chmod -R u+rX, or chown, lets this user read it) and the disk",
        where=where,
    )


def weights_size(subject: Subject, names: Sequence[str]) -> Finding:
    """Shapes and bytes that disagree."""
    return Finding(
        "weights-size",
        ERROR,
        what=f"{len(names)} tensors do not have as many bytes as their shapes need",
        why="The file is truncated or damaged, or a tool changed shapes and left the data",
        remedy=subject.again,
        where=f"{subject.name}: {some(names)}",
    )
