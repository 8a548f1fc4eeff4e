"""What a pipeline of Pipecat asks of a speech server; prints as JSON what it got. Arguments: URL, TEXT.

It reads hello.wav, and leaves MODEL.pcm in the working folder. Run by test_pipecat.py, with Pipecat's
own environment.
"""

import asyncio
import json
import sys
import wave
from collections.abc import Sequence
from pathlib import Path

from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    EndFrame,
    ErrorFrame,
    Frame,
    InputAudioRawFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
    TTSSpeakFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.audio.vad_processor import VADProcessor
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.openai.stt import OpenAISTTService
from pipecat.services.openai.tts import OpenAITTSService
from pipecat.workers.runner import WorkerRunner

URL, TEXT = sys.argv[1:]
ACCESS = {"base_url": URL, "api_key": "none"}
FRAME_BYTES = 640
"""20 ms at 16 kHz"""


class Ends(FrameProcessor):
    """Stands at both ends of a pipeline: keeps what comes out, and the errors that come back."""

    def __init__(self) -> None:
        super().__init__()
        self.frames: list[Frame] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        self.frames.append(frame)
        await self.push_frame(frame, direction)


async def through(processors: Sequence[FrameProcessor], frames: Sequence[Frame]) -> list[Frame]:
    """Send frames through a pipeline → all that came out of it, in order."""
    before, after = Ends(), Ends()
    rates = PipelineParams(audio_in_sample_rate=16_000, audio_out_sample_rate=24_000)
    worker = PipelineWorker(Pipeline([before, *processors, after]), params=rates)
    await worker.queue_frames([*frames, EndFrame()])
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()
    return [*(frame for frame in before.frames if isinstance(frame, ErrorFrame)), *after.frames]


async def speak(model: str, voice: str) -> dict:
    service = OpenAITTSService(settings=OpenAITTSService.Settings(model=model, voice=voice), **ACCESS)
    frames = await through([service], [TTSSpeakFrame(TEXT)])
    audio = [frame for frame in frames if isinstance(frame, TTSAudioRawFrame)]
    Path(f"{model}.pcm").write_bytes(b"".join(frame.audio for frame in audio))
    return {
        "frames": len(audio),
        "rates": list({frame.sample_rate for frame in audio}),
        "errors": [frame.error for frame in frames if isinstance(frame, ErrorFrame)],
    }


async def listen(model: str, samples: bytes) -> dict:
    """As from a microphone: Pipecat's own detector cuts the speech into turns."""
    service = OpenAISTTService(settings=OpenAISTTService.Settings(model=model), **ACCESS)
    pieces = [samples[at : at + FRAME_BYTES] for at in range(0, len(samples), FRAME_BYTES)]
    frames = await through(
        [VADProcessor(vad_analyzer=SileroVADAnalyzer()), service],
        [InputAudioRawFrame(piece, 16_000, 1) for piece in pieces],
    )
    return {
        "text": " ".join(frame.text for frame in frames if isinstance(frame, TranscriptionFrame)),
        "errors": [frame.error for frame in frames if isinstance(frame, ErrorFrame)],
    }


async def main() -> None:
    logger.remove()
    with wave.open("hello.wav") as file:
        samples = file.readframes(file.getnframes()) + bytes(32_000)
    got = {
        "spoken": {
            "gpt-4o-mini-tts": await speak("gpt-4o-mini-tts", "alloy"),
            "tts-1": await speak("tts-1", "onyx"),
        },
        "heard": {
            model: await listen(model, samples)
            for model in ("gpt-transcribe", "gpt-4o-transcribe", "whisper-1")
        },
        "refused": await speak("gpt-9", "alloy"),
    }
    print(json.dumps(got))


asyncio.run(main())
