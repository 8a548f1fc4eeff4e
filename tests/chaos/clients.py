"""Clients that keep asking while something goes wrong."""

from __future__ import annotations

import threading
from itertools import count

import httpx

NUMBERS = count(1)
"""Never the same sentence again: one that was being spoken at two deaths is not spoken any more."""


class Clients:
    """Some clients that ask for speech again and again and remember how it went."""

    def __init__(self, url: str, count: int = 6) -> None:
        self.count, self.answered, self.broken = count, 0, 0
        self.failed: list[str] = []
        self._url, self._over = url, threading.Event()
        self._threads = [threading.Thread(target=self._ask, args=(i,)) for i in range(count)]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(60)

    def _ask(self, client: int) -> None:
        with httpx.Client(base_url=self._url, timeout=60) as http:
            while not self._over.is_set():
                body = {"input": f"Sentence {next(NUMBERS)} of client {client}.", "response_format": "pcm"}
                try:
                    answer = http.post("/v1/audio/speech", json=body)
                except httpx.RemoteProtocolError:
                    self.broken += 1  # its audio had begun: the end is missing, and HTTP says so
                    continue
                if answer.status_code == 200:
                    self.answered += 1
                else:
                    self.failed.append(answer.text)
