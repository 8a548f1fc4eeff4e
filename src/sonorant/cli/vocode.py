"""`sonorant vocode FILE`: a mel spectrogram, or that of a recording, to sound."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sonorant.cli.options import ApiKey, Config, Device, Format, Offline, Ort, Rate, Server, settings_of
from sonorant.cli.say import target
from sonorant.errors import RequestError
from sonorant.tasks import AudioFormat


def vocode(
    file: Annotated[
        Path, typer.Argument(help="A .npy of float32 [bins, frames], or a recording to be copied.")
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="A file, or - for standard output.")],
    model: Annotated[str, typer.Option(help="NAME, NAME@REVISION or a folder.")] = "hifigan",
    format: Format = None,
    sample_rate: Rate = None,
    server: Server = None,
    api_key: ApiKey = "",
    device: Device = None,
    ort: Ort = None,
    offline: Offline = None,
    config: Config = None,
) -> None:
    """Make sound of a mel spectrogram, or copy a recording through its own."""
    if not file.is_file():
        raise RequestError(f"There is no file {file}", remedy="Check the path", param="file")
    kind = format or (AudioFormat.WAV if str(output) == "-" else AudioFormat.of(output))
    if server is not None:
        from sonorant.cli.remote import seal, vocoding
        from sonorant.stream import begun

        form = {"model": model, "response_format": str(kind)}
        form |= {"sample_rate": str(sample_rate)} if sample_rate else {}
        pieces = begun(vocoding(server, api_key, file, form))
        with target(output, 0) as out:
            for data in pieces:
                out.write(data)
            seal(out, kind)
        return
    from sonorant.audio.files import write
    from sonorant.cli.pull import Bars
    from sonorant.library import Model
    from sonorant.stream import begun

    with Bars() as bars:
        loaded = Model(model, settings_of(config, device, offline, ort), bars)
    with loaded.vocode(file) as sound:
        chunks = begun(sound)
        with target(output, sound.sample_rate) as out:
            write(chunks, out, kind, sample_rate)
