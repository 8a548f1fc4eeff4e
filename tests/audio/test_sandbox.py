"""The processes that decode: they come, they are bounded, and they go."""

import asyncio
import io
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from sonorant.audio.sandbox import Sandbox
from sonorant.errors import AudioError, LimitError
from sonorant.tasks import AudioChunk, Upload


def wav(seconds: float, rate: int = 16000) -> bytes:
    """24 bits: plain 16-bit PCM needs no decoder."""
    file = io.BytesIO()
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * rate))
    soundfile.write(file, noise, rate, format="WAV", subtype="PCM_24")
    return file.getvalue()


async def decode(sandbox: Sandbox, source: bytes | Path, **how: float) -> np.ndarray:
    chunks: list[AudioChunk] = []
    async for chunk in sandbox.decode(Upload(source, "x.wav"), **{"max_seconds": 3600, **how}):
        chunks.append(chunk)
    return np.concatenate([c.samples for c in chunks])


def decoders() -> list[psutil.Process]:
    """Every living process below this one: the zygote and its children."""
    return [p for p in psutil.Process().children(recursive=True) if alive(p)]


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children() -> list[psutil.Process]:
    """Those that decode or wait for something to decode."""
    (zygote,) = psutil.Process().children()
    return zygote.children()


async def until(happens: Callable[[], bool], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.02)


def test_bytes_and_files_come_out_alike(tmp_path: Path) -> None:
    data = wav(2.5)
    path = tmp_path / "upload"
    path.write_bytes(data)

    async def main() -> None:
        sandbox = Sandbox()
        try:
            meant = soundfile.read(io.BytesIO(data), dtype="float32")[0]
            np.testing.assert_array_equal(await decode(sandbox, data), meant)
            np.testing.assert_array_equal(await decode(sandbox, path), meant)
            chunks = [c async for c in sandbox.decode(Upload(path), max_seconds=9, chunk_seconds=0.5)]
            assert [c.seconds for c in chunks] == [0.5] * 5
            assert all(c.sample_rate == 16000 and c.samples.dtype == np.float32 for c in chunks)
            assert len(await decode(sandbox, data, sample_rate=8000)) == 20000
        finally:
            await sandbox.close()

    asyncio.run(main())


def test_errors_keep_their_kind_and_the_next_upload_is_fine(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()

    async def main() -> None:
        sandbox = Sandbox(spare=1)
        try:
            for empty in (b"", tmp_path / "empty"):
                with pytest.raises(AudioError, match="empty"):
                    await decode(sandbox, empty)
            with pytest.raises(AudioError, match="Send one of wav, mp3") as refused:
                await decode(sandbox, b"<html></html>")
            assert refused.value.param == "file"
            with pytest.raises(LimitError, match="longer than 1 seconds"):
                await decode(sandbox, wav(4), max_seconds=1)
            assert len(await decode(sandbox, wav(1))) == 16000
        finally:
            await sandbox.close()

    asyncio.run(main())


def test_many_at_once_are_served_by_a_bounded_number() -> None:
    async def main() -> None:
        sandbox = Sandbox(spare=2, concurrent=8)
        await sandbox.start()
        most = 0

        async def count() -> None:
            nonlocal most
            while True:
                most = max(most, len(decoders()) - 1)
                await asyncio.sleep(0.01)

        counting = asyncio.create_task(count())
        try:
            heard = await asyncio.gather(*(decode(sandbox, wav(1 + i / 10)) for i in range(20)))
            assert [len(samples) for samples in heard] == [round(16000 * (1 + i / 10)) for i in range(20)]
            assert 1 <= most <= 8
        finally:
            counting.cancel()
            await sandbox.close()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["closed", "cancelled"])
def test_who_leaves_takes_the_child_along(how: str) -> None:
    data = wav(600)

    async def main() -> None:
        sandbox = Sandbox(spare=1)
        await sandbox.start()
        try:
            await until(lambda: len(decoders()) == 2)
            (idle,) = children()
            audio = sandbox.decode(Upload(data), max_seconds=3600)
            await anext(audio)
            assert alive(idle)  # it took the upload, and waits for us to take more
            if how == "closed":
                await audio.aclose()
            else:

                async def listen() -> None:
                    async for _ in audio:
                        await asyncio.sleep(0.1)

                task = asyncio.create_task(listen())
                await asyncio.sleep(0.3)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                await audio.aclose()
            await until(lambda: not alive(idle))
            await until(lambda: len(decoders()) == 2)
        finally:
            await sandbox.close()

    asyncio.run(main())


def test_a_silent_child_is_killed_and_reported() -> None:
    async def main() -> None:
        sandbox = Sandbox(spare=1, idle_seconds=0.5)
        try:
            audio = sandbox.decode(Upload(wav(600)), max_seconds=3600)
            await anext(audio)
            stopped = children()
            for process in stopped:
                process.send_signal(signal.SIGSTOP)
            with pytest.raises(AudioError, match="cannot be decoded"):
                async for _ in audio:
                    pass
            await until(lambda: any(not alive(p) for p in stopped))
        finally:
            await sandbox.close()
        assert not decoders()

    asyncio.run(main())


def test_a_dead_zygote_is_replaced() -> None:
    async def main() -> None:
        sandbox = Sandbox()
        try:
            await decode(sandbox, wav(1))
            before = decoders()
            (zygote,) = psutil.Process().children()
            zygote.kill()
            assert len(await decode(sandbox, wav(1))) == 16000
            await until(lambda: not any(alive(p) for p in before))
        finally:
            await sandbox.close()

    asyncio.run(main())


def test_close_ends_every_process_and_may_be_followed_by_a_new_start() -> None:
    async def main() -> None:
        sandbox = Sandbox()
        await sandbox.close()  # nothing to end yet
        for _ in range(2):
            await asyncio.gather(sandbox.start(), sandbox.start())
            assert len(psutil.Process().children()) == 1
            audio = sandbox.decode(Upload(wav(600)), max_seconds=3600)
            await anext(audio)
            await sandbox.close()
            assert not decoders()
            with pytest.raises(AudioError):
                async for _ in audio:
                    pass

    asyncio.run(main())


def test_any_event_loop_will_do() -> None:
    sandbox = Sandbox()
    data = wav(1)
    asyncio.run(sandbox.start())
    assert len(asyncio.run(decode(sandbox, data))) == 16000
    lengths: list[int] = []

    def listen() -> None:
        lengths.append(len(asyncio.run(decode(sandbox, data))))

    threads = [threading.Thread(target=listen) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert lengths == [16000] * 4
    asyncio.run(sandbox.close())


def test_nothing_is_left_open() -> None:
    async def main() -> None:
        sandbox = Sandbox()
        short, long = wav(0.2), wav(60)

        async def few() -> None:
            await decode(sandbox, short)
            with pytest.raises(AudioError):
                await decode(sandbox, b"nonsense")
            audio = sandbox.decode(Upload(long), max_seconds=3600)
            await anext(audio)
            await audio.aclose()

        try:
            await few()
            before = psutil.Process().num_fds()
            for _ in range(33):
                await few()
            assert psutil.Process().num_fds() == before
            await until(lambda: len(decoders()) == 3)
        finally:
            await sandbox.close()

    asyncio.run(main())


OWNER = """
import asyncio
from sonorant.audio.sandbox import Sandbox
from sonorant.tasks import Upload

async def main():
    sandbox = Sandbox()
    audio = sandbox.decode(Upload(open({path!r}, "rb").read()), max_seconds=3600)
    await anext(audio)
    print("decoding", flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


def test_nothing_survives_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    path.write_bytes(wav(600))
    with subprocess.Popen(
        [sys.executable, "-c", OWNER.format(path=str(path))], stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout
        assert owner.stdout.readline() == "decoding\n"
        orphans = psutil.Process(owner.pid).children(recursive=True)
        assert len(orphans) >= 2
        owner.kill()
    _, survivors = psutil.wait_procs(orphans, timeout=10)
    assert not survivors
