"""What the processes of one model are made from: what is in force, or what worked, where that was refused."""

from __future__ import annotations

from sonorant.gateway.keeper import Keeper
from sonorant.in_force import PROCESS, among, changes
from sonorant.settings import Settings

Order = tuple[Settings, str]
"""and the model, as it stands in them"""


class Orders:
    """A process that dies is not replaced by one from settings that could not take its place before."""

    def __init__(self, keeper: Keeper) -> None:
        self.keeper = keeper
        self._last: Order | None = None
        self._worked: Order | None = None
        """of the process that worked when the last renewal was tried"""
        self._tried: Order | None = None
        """of that renewal"""

    def next(self, settings: Settings, model: str) -> Order:
        """What the next process is made from, where these are in force."""
        order = settings, model
        if self.keeper.pid is not None:  # it is to take the place of one that works
            if not self.keeper.refused:
                self._worked = self._last
            self._tried = order
        elif self.keeper.refused and self._worked and self._tried and _same(order, self._tried):
            order = self._worked
        self._last = order
        return order


def _same(one: Order, other: Order) -> bool:
    return one[1] == other[1] and not among(changes(one[0], other[0]), PROCESS)
