"""`sonorant say TEXT`: speak, to the loudspeaker or into a file."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from sonorant.cli.language import localized
from sonorant.cli.options import (
    ApiKey,
    Config,
    Device,
    Fitting,
    Format,
    Offline,
    Ort,
    Rate,
    Server,
    Tier,
    Voice,
    settings_of,
)
from sonorant.errors import RequestError, TextError, unwritable
from sonorant.tasks import AudioFormat, Quality, Task
from sonorant.text.markup import is_markup

if TYPE_CHECKING:
    from sonorant.tasks import AudioChunk
    from sonorant.text.subtitle_file import SubtitleFile

PLAY_RATE = 24_000


def say(
    text: Annotated[
        str | None, typer.Argument(help="What to say; without it, or with -, standard input.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", help="A file, or - for standard output; with --batch a folder."),
    ] = None,
    batch: Annotated[
        Path | None, typer.Option(help="A file with an utterance a line, text or JSON (.jsonl).")
    ] = None,
    model: Fitting = None,
    voice: Voice = "",
    speed: Annotated[float, typer.Option(min=0.25, max=4.0, help="2 = twice as fast.")] = 1.0,
    language: Annotated[str, typer.Option(help="BCP 47.", show_default="the voice's own")] = "",
    format: Format = None,
    sample_rate: Rate = None,
    loudness: Annotated[
        float | None, typer.Option(min=-31, max=-9, help="LUFS (EBU R128).", show_default="as spoken")
    ] = None,
    trim_silence: Annotated[bool, typer.Option("--trim-silence", help="No silence at either end.")] = False,
    subtitles: Annotated[
        Path | None, typer.Option(help="A file ending in .srt or .vtt for the subtitles.")
    ] = None,
    lexicon: Annotated[Path | None, typer.Option(help="Words with readings of their own (TOML).")] = None,
    seed: Annotated[
        int | None, typer.Option(help="The same noise every time, where the voice allows it.")
    ] = None,
    quality: Tier = "",
    server: Server = None,
    api_key: ApiKey = "",
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Speak a text. Without -o it is played; it streams from the first sentence."""
    words, tier = _words(lexicon), Quality.of(quality) or ""
    if batch is not None:
        _check_batch(text, output, subtitles)
        manner = {"voice": voice, "speed": speed, "language": language, "lexicon": words, "quality": tier}
        sound = {"format": format, "sample_rate": sample_rate, "loudness": loudness, "seed": seed}
        defaults = {"model": model, "trim_silence": trim_silence, **manner, **sound}
        from sonorant.cli.batch import Source
        from sonorant.cli.say_batch import say_batch

        source = Source(server, api_key, lambda: settings_of(config, device, offline, ort))
        say_batch(batch, output or Path(), defaults, source)
        return
    kind, track = _format(output, format), _track(subtitles)
    if server is not None:
        from sonorant.cli.remote import seal, speech, speech_body, timed_speech
        from sonorant.stream import begun

        body = speech_body(
            "".join(_text(text)),
            kind,
            model=model,
            voice=voice,
            speed=speed,
            language=language,
            sample_rate=sample_rate,
            loudness=loudness,
            trim_silence=trim_silence,
            lexicon=words,
            seed=seed,
            quality=tier,
        )
        pieces = begun(timed_speech(server, api_key, body, track) if track else speech(server, api_key, body))
        with target(output, sample_rate or PLAY_RATE) as file:
            for data in pieces:
                file.write(data)
                file.flush()
            seal(file, kind)
        if track:
            track.write()
        return

    from sonorant.audio.encoding import output_rate
    from sonorant.audio.files import write
    from sonorant.cli.pull import Bars
    from sonorant.library import Model, default_model
    from sonorant.stream import begun
    from sonorant.text.languages import languages_of

    languages = {language} if language else languages_of(text or "")
    with Bars() as bars:
        named = model or default_model(Task.SPEECH, frozenset(languages))
        loaded = Model(named, settings_of(config, device, offline, ort), bars)
    rate = sample_rate if output else sample_rate or PLAY_RATE
    spoken = loaded.say(
        _text(text),
        voice=voice,
        speed=speed,
        language=language,
        lexicon=words,
        seed=seed,
        sample_rate=output_rate(kind, loaded.describe().sample_rate or PLAY_RATE, rate),
        loudness=loudness,
        trim_silence=trim_silence,
        quality=tier,
    )
    for what in spoken.ignored:
        typer.echo(localized(f"The markup asks for {what}, which is not obeyed here."), err=True)
    with spoken:
        chunks = begun(_watched(track.watched(spoken) if track else spoken, quiet=output is None))
        with target(output, spoken.sample_rate) as file:
            write(chunks, file, kind, spoken.sample_rate)
    if track:
        track.write()


def _check_batch(text: str | None, output: Path | None, subtitles: Path | None) -> None:
    if output is None or str(output) == "-" or output.is_file():
        raise RequestError("Many utterances make many files", remedy="Name a folder with -o", param="o")
    if text is not None or subtitles is not None:
        what = "--subtitles" if text is None else "A text"
        raise RequestError(f"{what} does not go with --batch", remedy="Leave one of them out", param="batch")


def _words(lexicon: Path | None) -> dict[str, dict[str, str]]:
    """language → word → reading."""
    if lexicon is None:
        return {}
    from sonorant.text.lexicon import read_lexicon

    words: dict[str, dict[str, str]] = {}
    for entry in read_lexicon(lexicon):
        words.setdefault(entry.language or "*", {})[entry.word] = entry.reading
    return words


def _track(path: Path | None) -> SubtitleFile | None:
    if path is None:
        return None
    from sonorant.text.subtitle_file import SubtitleFile

    return SubtitleFile(path)


def _format(output: Path | None, chosen: AudioFormat | None) -> AudioFormat:
    if output is None:
        if chosen not in (None, AudioFormat.PCM):
            raise RequestError(f"{chosen} is a file format", remedy="Name a file with -o", param="format")
        return AudioFormat.PCM
    if chosen is not None:
        return chosen
    if str(output) == "-":
        return AudioFormat.WAV
    return AudioFormat.of(output)


def _text(text: str | None) -> str | Iterable[str]:
    """The argument, or standard input as it comes: speech begins before the input ends. SSML is whole."""
    if text is not None and text != "-":
        if not text.strip():
            raise TextError("The text is empty", remedy="Say what to speak", param="input")
        return text
    if sys.stdin.isatty():
        typer.echo(localized("Type what to say; Ctrl-D ends."), err=True)
    pieces = _read(sys.stdin.fileno())
    first = next(pieces, "")
    return first + "".join(pieces) if is_markup(first) else chain([first], pieces)


def _read(descriptor: int) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        while data := os.read(descriptor, 1 << 16):  # not sys.stdin: who waits in it blocks the way out
            yield decoder.decode(data)
        yield decoder.decode(b"", final=True)
    except UnicodeDecodeError as error:
        raise TextError(
            "Standard input is not UTF-8", why=str(error), remedy="Convert it, with iconv for example"
        ) from error


@contextmanager
def target(output: Path | None, rate: int) -> Iterator[BinaryIO]:
    """Where sound goes: a file, standard output, or None = a player at `rate` hertz. Raises RequestError."""
    if output is None:
        from sonorant.cli.player import player

        with player(rate) as file:
            yield file
    elif str(output) == "-":
        yield sys.stdout.buffer
    else:
        try:
            with output.open("w+b") as file:
                yield file
        except OSError as error:
            raise unwritable(output, error, param="o") from error


def _watched(spoken: Iterable[AudioChunk], *, quiet: bool) -> Iterator[AudioChunk]:
    """The chunks, with a line on the terminal that counts what has been spoken."""
    from rich.console import Console
    from rich.progress import Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = TextColumn("{task.completed:.0f} " + localized("s spoken in")), TimeElapsedColumn()
    with Progress(
        *columns, console=console, transient=True, disable=quiet or not console.is_terminal
    ) as progress:
        task = progress.add_task("", total=None)
        for chunk in spoken:
            progress.advance(task, chunk.seconds)
            yield chunk
