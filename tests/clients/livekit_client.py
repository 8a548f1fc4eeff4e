"""What an agent of LiveKit asks of a speech server; prints as JSON what it got. Arguments: URL, TEXT.

It reads hello.wav, and leaves MODEL.wav in the working folder. Run by test_livekit.py, with LiveKit's
own environment.
"""

import asyncio
import json
import sys
import wave
from pathlib import Path

import aiohttp
from livekit import rtc
from livekit.agents import APIConnectOptions, APIError, tokenize, tts, utils
from livekit.plugins import openai

URL, TEXT = sys.argv[1:]
ACCESS = {"base_url": URL, "api_key": "none"}
ONCE = APIConnectOptions(max_retry=0)


async def speak(model: str) -> dict:
    """As an agent does: the words of a language model go in one by one, sentences come out."""
    voice = openai.TTS(model=model, voice="alloy", **ACCESS)
    voice.prewarm()
    sentences = tts.StreamAdapter(tts=voice, sentence_tokenizer=tokenize.basic.SentenceTokenizer())
    frames = []
    async with sentences.stream(conn_options=ONCE) as stream:
        for word in TEXT.split():
            stream.push_text(f"{word} ")
        stream.end_input()
        async for event in stream:
            frames.append(event.frame)
    await voice.aclose()
    Path(f"{model}.wav").write_bytes(rtc.combine_audio_frames(frames).to_wav_bytes())
    return {"frames": len(frames), "rates": list({frame.sample_rate for frame in frames})}


async def one_sentence(model: str) -> list[str]:
    """The ids of the requests behind one text without the adapter."""
    voice = openai.TTS(model=model, voice="nova", **ACCESS)
    ids = {event.request_id async for event in voice.synthesize("Hello.", conn_options=ONCE)}
    await voice.aclose()
    return sorted(ids)


async def listen(model: str, frame: rtc.AudioFrame) -> dict:
    ears = openai.STT(model=model, **ACCESS)
    heard = (await ears.recognize(frame, conn_options=ONCE)).alternatives[0]
    await ears.aclose()
    return {"text": heard.text, "language": heard.language}


async def refused() -> dict:
    try:
        voice = openai.TTS(model="tts-1", voice="nobody", **ACCESS)
        await voice.synthesize(TEXT, conn_options=ONCE).collect()
    except APIError as error:
        return {"status": error.status_code, "id": error.request_id, "message": error.message}
    raise SystemExit("a voice that nobody has was spoken with")


async def realtime(frame: rtc.AudioFrame) -> int:
    """The status that says that there is no realtime interface."""
    stream = openai.STT(use_realtime=True, **ACCESS).stream(conn_options=ONCE)
    stream.push_frame(frame)
    try:
        async for _ in stream:
            break
    except aiohttp.WSServerHandshakeError as error:
        return error.status
    raise SystemExit("the realtime stream ended as if all were well")


async def main() -> None:
    with wave.open("hello.wav") as file:
        samples = file.getnframes()
        frame = rtc.AudioFrame(file.readframes(samples), file.getframerate(), 1, samples)
    async with utils.http_context.open():
        got = {
            "spoken": {model: await speak(model) for model in ("tts-1", "gpt-4o-mini-tts")},
            "ids": await one_sentence("tts-1"),
            "heard": {
                model: await listen(model, frame)
                for model in ("whisper-1", "gpt-4o-mini-transcribe", "gpt-transcribe")
            },
            "refused": await refused(),
            "realtime": await realtime(frame),
        }
    print(json.dumps(got))


asyncio.run(main())
