"""HiFi-GAN: its layouts, and its pipeline on small generators, which run by their proven exports without torch."""

import asyncio
import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

import hifigans
import sonorant
from servers import Server, environment, free_port
from sonorant.audio.features import LogMel
from sonorant.errors import AudioError, LayoutError, MissingExtraError, ModelFileError, RequestError
from sonorant.families import recognise
from sonorant.families.hifigan.config import parse
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.tasks import AudioChunk, Task

RATE = 22_050


def mel_of(samples: np.ndarray) -> np.ndarray:
    features = LogMel(sample_rate=RATE, n_fft=1024, hop=256, window=1024, bins=80, low=0, high=8000)
    return np.concatenate([features.process(samples), features.flush()], axis=1)


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory, home):
    """The folder of a tiny V1, and an engine on its graph."""
    place = hifigans.folder(tmp_path_factory.mktemp("models") / "tiny", hifigans.TINY)
    model = hifigans.graph(hifigans.TINY, hifigans.weights(hifigans.TINY))
    hifigans.exported(place, home, model)
    return place, OnnxRuntime(place, derived=model.SerializeToString())


@pytest.fixture(scope="module")
def model(tiny, home):
    settings = home / "sonorant.toml"
    settings.write_text(f'[catalogue]\nhome = "{home}"\n')
    loaded = sonorant.load(str(tiny[0]), config=settings)
    yield loaded
    loaded.close()


@pytest.fixture(scope="module")
def mel() -> np.ndarray:
    """5.8 s: several windows."""
    return np.random.default_rng(1).uniform(-11, 2, (80, 500)).astype(np.float32)


def test_windows_together_are_one_run_over_everything(model, tiny, mel):
    whole = tiny[1].prepare({"mel": mel[np.newaxis]})()["audio"][0, 0]
    assert 0.05 < whole.std() < 0.9  # neither silent nor saturated
    chunks = list(model.vocode(mel))
    assert [len(chunk.samples) // 256 for chunk in chunks] == [32, 96, 256, 116]
    assert {chunk.sample_rate for chunk in chunks} == {RATE}
    np.testing.assert_allclose(np.concatenate([c.samples for c in chunks]), whole, atol=1e-5)


@pytest.mark.parametrize("size", [1, 7, 300])
def test_the_sound_does_not_depend_on_how_the_mel_comes(model, tiny, mel, size):
    async def pieces():
        for start in range(0, 500, size):
            yield mel[:, start : start + size]

    async def main():
        return [chunk.samples async for chunk in model._replica.pipeline.vocode(pieces())]

    whole = tiny[1].prepare({"mel": mel[np.newaxis]})()["audio"][0, 0]
    np.testing.assert_allclose(np.concatenate(asyncio.run(main())), whole, atol=1e-5)


@pytest.mark.parametrize("frames", [1, 31, 44])
def test_short_ones_come_at_once(model, tiny, mel, frames):
    [chunk] = model.vocode(mel[:, :frames])
    whole = tiny[1].prepare({"mel": mel[np.newaxis, :, :frames]})()["audio"][0, 0]
    np.testing.assert_allclose(chunk.samples, whole, atol=1e-5)


def test_the_context_is_hardly_wider_than_it_has_to_be(tiny):
    """A frame is heard no farther away than the config's sizes say, and almost as far."""
    before, after = parse(json.dumps(hifigans.TINY)).context
    mel = np.full((1, 80, 101), -5, np.float32)
    changed = mel.copy()
    changed[:, :, 50] = 2
    plain, other = (tiny[1].prepare({"mel": m})()["audio"][0, 0] for m in (mel, changed))
    heard = np.flatnonzero(plain != other) // 256
    assert (before, after) == (13, 13)
    assert 50 - after <= heard.min() <= 50 - after + 1
    assert 50 + before - 1 <= heard.max() <= 50 + before


def test_a_recording_is_copied_through_its_mel(model, tiny, tmp_path):
    t = np.arange(2 * 16_000) / 16_000
    samples = (0.3 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)
    at_once = model.vocode(AudioChunk(samples, 16_000)).result()
    assert len(at_once.samples) == 2 * RATE // 256 * 256
    soundfile.write(tmp_path / "tone.wav", samples, 16_000, "FLOAT")
    np.testing.assert_allclose(
        model.vocode(tmp_path / "tone.wav").result().samples, at_once.samples, atol=1e-5
    )
    copied = AudioChunk(np.resize(samples, RATE), RATE)  # of the model's own rate: no resampler is in between
    expected = tiny[1].prepare({"mel": mel_of(copied.samples)[np.newaxis]})()["audio"][0, 0]
    np.testing.assert_allclose(model.vocode(copied).result().samples, expected, atol=1e-5)


def test_a_saved_mel_is_read_and_delivered_as_asked(model, mel, tmp_path):
    np.save(tmp_path / "mel.npy", mel[:, :100])
    plain = model.vocode(tmp_path / "mel.npy").result()
    assert np.array_equal(plain.samples, model.vocode(mel[:, :100]).result().samples)
    half = model.vocode(mel[:, :100], sample_rate=11_025).result()
    assert (half.sample_rate, len(half.samples)) == (11_025, len(plain.samples) // 2)


@pytest.mark.parametrize(
    ("mel", "error", "what"),
    [
        (np.zeros((100, 80), np.float32), RequestError, r"float32 \[100, 80\]"),
        (np.zeros((80, 100)), RequestError, "float64"),
        (np.full((80, 9), 40, np.float32), RequestError, "values from 40 to 40"),
        (np.full((80, 9), np.nan, np.float32), RequestError, "nan"),
        (np.zeros((80, 0), np.float32), AudioError, "no frames"),
        (AudioChunk(np.full(300, 0.1, np.float32), RATE), AudioError, "too short"),
    ],
)
def test_what_is_no_mel_of_its_kind_is_refused(model, mel, error, what):
    with pytest.raises(error, match=what):
        model.vocode(mel).result()


@pytest.mark.parametrize(
    "name", ["generator_v1", "g_02500000", "generator_universal.pth.tar", "generator.pth"]
)
def test_the_publishers_folders_are_recognised(tmp_path, name):
    (tmp_path / "config.json").write_text(json.dumps(hifigans.V2))
    (tmp_path / name).write_bytes(b"weights")
    (tmp_path / "do_02500000").write_bytes(b"discriminators")
    card = recognise(tmp_path)
    assert (card.family, card.task, card.sample_rate) == ("hifigan", Task.VOCODING, RATE)


def test_of_a_training_the_last_state_is_meant_and_of_strangers_none(tmp_path):
    from sonorant.families.hifigan.layout import find

    place = hifigans.folder(tmp_path / "run", hifigans.V1)
    (place / "g_00000050").write_bytes(b"older")
    assert find(place)[1].name == "g_00000100"
    for name in ("generator_a", "generator_b"):
        (place / name).write_bytes(b"weights")
    assert find(place)[1].name == "g_00000100"
    (place / "g_00000050").unlink()
    (place / "g_00000100").unlink()
    with pytest.raises(LayoutError, match="several generators"):
        recognise(place)


@pytest.mark.parametrize("text", ['{"model_type": "whisper"}', "[]", "not JSON"])
def test_another_config_is_not_taken_for_its_own(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    (tmp_path / "generator.pth").write_bytes(b"weights")
    with pytest.raises(LayoutError, match="No family recognises"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"hop_size": 200}, "hop_size is not the product"),
        ({"upsample_kernel_sizes": [16, 15, 4, 4]}, "upsample_kernel_sizes do not fit"),
        ({"resblock_kernel_sizes": [3, 7]}, "resblock_dilation_sizes do not fit"),
        ({"upsample_initial_channel": 8}, "no channels left"),
        ({"resblock": "3"}, "neither 1 nor 2"),
        ({"num_mels": "many"}, "many"),
        ({"fmax": None, "n_fft": None}, "NoneType"),
    ],
)
def test_a_config_that_makes_no_generator_says_why(change, why):
    with pytest.raises(ModelFileError, match=why):
        parse(json.dumps(hifigans.V1 | change))
    with pytest.raises(ModelFileError, match="the key fmin is missing"):
        parse(json.dumps({key: value for key, value in hifigans.V1.items() if key != "fmin"}))


def test_without_torch_and_export_it_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r'pip install "sonorant\[torch\]"'):
        sonorant.load(str(hifigans.folder(tmp_path / "bare", hifigans.TINY)))


def test_another_config_beside_the_same_weights_has_no_export(tiny, home):
    """Dilations are not in the weights: only the config tells them."""
    from sonorant.networks.artefacts import Artefacts
    from sonorant.networks.checkpoint import exported
    from sonorant.networks.engines.onnxruntime import described

    place, config = tiny[0], tiny[0] / "config.json"
    artefacts, text = Artefacts(home, described("cpu")), config.read_text()
    assert exported(hifigans.checkpoint_of(place), artefacts)
    config.write_text(text.replace("[1, 3, 5]", "[1, 3, 7]"))
    assert exported(hifigans.checkpoint_of(place), artefacts) is None
    config.write_text(text)


def test_it_is_served_and_asked_by_the_command_line(tiny, home, mel, tmp_path):
    """A real server, its process for the model, and our own client; no torch is imported."""
    np.save(tmp_path / "mel.npy", mel[:, :100])
    port = free_port()
    settings = environment(SONORANT_CATALOGUE__HOME=str(home))
    base = [sys.executable, "-m", "sonorant"]
    server = Server([*base, "serve", str(tiny[0]), "--port", str(port)], tmp_path, port, settings)
    try:
        server.wait_until_settled()
        command = [*base, "vocode", "mel.npy", "-o", "mel.wav", "--model", "tiny", "--server", server.url]
        subprocess.run(command, check=True, cwd=tmp_path, env=settings, timeout=60)
        info = soundfile.info(tmp_path / "mel.wav")
        assert (info.frames, info.samplerate) == (25_600, RATE)
        assert server.metric("tts_audio_seconds_total", model="tiny") == pytest.approx(25_600 / RATE)
        [replica] = server.replicas()
        assert not any("torch" in mapped.path for mapped in replica.memory_maps())
    finally:
        server.close()
    command = [*base, "vocode", "mel.npy", "-o", "here.wav", "--model", str(tiny[0])]
    subprocess.run(command, check=True, cwd=tmp_path, env=settings, timeout=60)
    one, other = (soundfile.read(tmp_path / name)[0] for name in ("mel.wav", "here.wav"))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_where_onnx_runtime_lacks_the_device_torch_is_asked(tiny, home, monkeypatch):
    """Its export is of another device: what is said is torch's word."""
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.setenv("SONORANT_CATALOGUE__HOME", str(home))
    with pytest.raises(MissingExtraError, match="needs torch"):
        sonorant.load(str(tiny[0]), device="cuda")
