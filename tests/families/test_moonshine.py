"""Moonshine: its folders, its tokenizer, and what it makes of real recordings."""

import asyncio
import json
import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile

from listening import real_speech, word_errors
from sonorant.audio.resample import Resampler
from sonorant.catalogue import Catalogue
from sonorant.errors import ModelFileError, UnsupportedError
from sonorant.families import moonshine, recognise
from sonorant.families.moonshine.tokenizer import Tokenizer
from sonorant.networks.generate import Decoder
from sonorant.networks.ort_format import OrtGraph
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk, Segment, Task, TranscriptEnd, TranscriptionRequest

RATE = 16_000


@pytest.fixture(scope="module")
def catalogue():
    return Catalogue(load_settings().catalogue)


@pytest.fixture(scope="module")
def tiny(catalogue) -> Path:
    return catalogue.ensure(catalogue.find("moonshine-tiny"))


@pytest.fixture(scope="module")
def load(catalogue):
    device = Device("cpu")

    def load(folder: Path):
        card = recognise(folder)
        return moonshine.load(card, folder, ReplicaHost(card, catalogue, device, {}))

    yield load
    device.close()


@pytest.fixture(scope="module")
def recognizer(load, tiny):
    return load(tiny)


@pytest.mark.parametrize("name", ["moonshine-tiny", "moonshine-base"])
def test_sequences_are_decoded_together(catalogue, caplog, name):
    """Where our steps prove equal to the published decoder, as they must on any processor."""
    card, device = catalogue.find(name), Device("cpu")
    host = ReplicaHost(card, catalogue, device, {})
    moonshine.load(card, catalogue.ensure(card), host)
    assert "steps" in {network.name for network in host.networks}, caplog.text
    host.close()
    device.close()


def heard(recognizer, samples: np.ndarray, **request) -> list:
    async def audio():
        for start in range(0, len(samples), RATE):
            yield AudioChunk(samples[start : start + RATE], RATE)

    async def main():
        asked = TranscriptionRequest(model="moonshine-tiny", **request)
        return [event async for event in recognizer.recognize(asked, audio())]

    return asyncio.run(main())


def recording(index: int) -> tuple[np.ndarray, str]:
    found = real_speech()[index]
    samples, rate = soundfile.read(found.path, dtype="float32")
    resampler = Resampler(rate, RATE)
    return np.clip(np.concatenate([resampler.process(samples), resampler.flush()]), -1, 1), found.transcript


@pytest.mark.parametrize("index", [0, 1], ids=["beckett", "two cities"])
def test_real_speech_is_understood(recognizer, index):
    samples, transcript = recording(index)
    *segments, end = heard(recognizer, samples)
    errors, words = word_errors(transcript, " ".join(segment.text for segment in segments))
    assert errors <= 0.1 * words
    assert end == TranscriptEnd(len(samples) / RATE)
    last = 0.0
    for segment in segments:
        assert last <= segment.start < segment.end <= end.duration
        assert segment.avg_logprob < 0
        assert 0 <= segment.no_speech_prob <= 1
        assert segment.words is None, "words are not measured"
        last = segment.end


def test_silence_is_no_text(recognizer):
    assert heard(recognizer, np.zeros(5 * RATE, np.float32)) == [TranscriptEnd(5.0)]
    assert heard(recognizer, np.zeros(0, np.float32)) == [TranscriptEnd(0.0)]


def test_base_understands_too(load, catalogue):
    samples, transcript = recording(0)
    *segments, _ = heard(load(catalogue.ensure(catalogue.find("moonshine-base"))), samples)
    errors, words = word_errors(transcript, " ".join(segment.text for segment in segments))
    assert errors <= 0.1 * words


def test_the_language_is_named(recognizer):
    samples, _ = recording(0)
    assert [e.language for e in heard(recognizer, samples, language="en-GB") if isinstance(e, Segment)][
        0
    ] == ("en-GB")


def tokens_of(decoder: Decoder, clips: list, **options) -> list[list]:
    """Of all clips (hidden states, mask) at once."""

    async def tokens(hidden, mask):
        bursts = decoder.generate(hidden, mask, max_tokens=40, **options)
        return [token async for burst in bursts for token in burst]

    async def main():
        return await asyncio.gather(*(tokens(*clip) for clip in clips))

    return asyncio.run(main())


@pytest.fixture(scope="module")
def clips(recognizer) -> list:
    """(hidden states, mask) of pieces of real speech of many lengths."""
    samples, _ = recording(1)
    found, start = [], 0
    for seconds in (1.1, 4.0, 2.3, 6.7, 3.1, 1.9, 5.2, 2.8, 8.0, 3.3):
        piece = samples[np.newaxis, start : start + round(seconds * RATE)]
        mask, start = np.ones(piece.shape, np.int64), start + piece.shape[1]
        outputs = recognizer._encoder.engine.prepare({"input_values": piece, "attention_mask": mask})()
        found.append((outputs["last_hidden_state"], mask))
    return found


@pytest.fixture(scope="module")
def published(load, tiny):
    """The publisher's own decoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sonorant.families.moonshine.step.read", lambda path, branch: OrtGraph())
        return load(tiny)._decoder


def test_clips_decoded_together_have_the_tokens_of_each_alone(recognizer, clips):
    """Not nearly the same: an 8 bit rounding that went the other way would show in the third digit."""
    alone = [tokens_of(recognizer._decoder, [clip])[0] for clip in clips]
    assert sum(len(tokens) for tokens in alone) > 100
    for tokens, expected in zip(tokens_of(recognizer._decoder, clips), alone, strict=True):
        assert [token.id for token in tokens] == [token.id for token in expected]
        np.testing.assert_allclose([t.logprob for t in tokens], [t.logprob for t in expected], atol=1e-6)


def test_the_tokens_are_those_of_the_published_decoder(recognizer, published, clips):
    differences = []
    for tokens, clip in zip(tokens_of(recognizer._decoder, clips), clips, strict=True):
        [expected] = tokens_of(published, [clip])
        assert [token.id for token in tokens] == [token.id for token in expected]
        differences += [abs(a.logprob - b.logprob) for a, b in zip(tokens, expected, strict=True)]
    assert max(differences) < 0.1  # floats summed in another order: a few roundings go the other way
    assert np.median(differences) < 1e-4


def test_the_seed_decides_what_is_sampled_whatever_is_decoded_beside_it(recognizer, clips):
    together = tokens_of(recognizer._decoder, clips[:4], temperature=1.0, seed=5)
    for tokens, clip in zip(together, clips, strict=False):
        [alone] = tokens_of(recognizer._decoder, [clip], temperature=1.0, seed=5)
        assert [token.id for token in tokens] == [token.id for token in alone]


def test_networks_that_give_other_tokens_are_not_used(load, tiny, clips, published, monkeypatch, caplog):
    """They forget where a token stands."""

    def unturned(step) -> None:
        step.weights |= {"cosines": np.ones((512, 16), np.float32), "sines": np.zeros((512, 16), np.float32)}

    monkeypatch.setattr("sonorant.families.moonshine.step._Step._rotation", unturned)
    with caplog.at_level(logging.WARNING, "sonorant"):
        decoder = load(tiny)._decoder
    assert "each sequence is decoded by itself: our decoder differs by inf" in caplog.text
    assert tokens_of(decoder, clips[:1]) == tokens_of(published, clips[:1])


def test_a_file_of_which_nothing_can_be_made_is_decoded_as_it_is(load, tiny, monkeypatch, caplog):
    monkeypatch.setattr("sonorant.families.moonshine.step.read", lambda path, branch: OrtGraph())
    with caplog.at_level(logging.INFO, "sonorant"):
        assert isinstance(load(tiny)._decoder, Decoder)
    assert "each sequence is decoded by itself" in caplog.text


def test_word_times_are_refused_before_anything_is_heard(recognizer):
    with pytest.raises(UnsupportedError, match="times are not invented") as error:
        heard(recognizer, np.zeros(RATE, np.float32), words=True)
    assert error.value.param == "timestamp_granularities"


LAYOUTS = {
    "moonshine-voice": ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin"),
    "onnx-community": ("onnx/encoder_model.onnx", "onnx/decoder_model_merged.onnx", "tokenizer.json"),
    "UsefulSensors": ("encoder_model.onnx", "decoder_model_merged.onnx", "tokenizer.json"),
}


def json_of(tokenizer: Tokenizer) -> dict:
    """The same pieces as Hugging Face's tokenizers write them: one byte as <0x..>, control tokens apart."""
    vocabulary, added = {}, []
    for index, piece in enumerate(tokenizer.pieces):
        if 3 <= index < 259:
            vocabulary[f"<0x{piece[0]:02X}>"] = index
        elif piece.startswith(b"<") and piece.endswith(b">") and len(piece) > 2:
            added.append({"id": index, "content": piece.decode()})
        else:
            vocabulary[piece.decode()] = index
    return {"model": {"type": "BPE", "vocab": vocabulary}, "added_tokens": added}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_publishers_layout_is_recognised(tiny, tmp_path, layout):
    source = dict(zip(LAYOUTS["moonshine-voice"], LAYOUTS[layout], strict=True))
    for name, place in source.items():
        target = tmp_path / place
        target.parent.mkdir(exist_ok=True)
        if place.endswith(".json"):
            target.write_text(json.dumps(json_of(Tokenizer(tiny / name))))
        else:
            target.hardlink_to(tiny / name) if same_disk(tiny, tmp_path) else target.symlink_to(tiny / name)
    card = recognise(tmp_path)
    assert (card.family, card.task) == ("moonshine", Task.TRANSCRIPTION)
    assert card.parts["vad"] == "silero-vad"
    files = moonshine.layout.find(tmp_path)
    assert [p.relative_to(tmp_path).as_posix() for p in (files.encoder, files.decoder, files.tokenizer)] == [
        *LAYOUTS[layout]
    ]
    ids = [1, 300, 4000, 2000, 2]
    assert Tokenizer(files.tokenizer).decode(ids) == Tokenizer(tiny / "tokenizer.bin").decode(ids)


def same_disk(a: Path, b: Path) -> bool:
    return a.stat().st_dev == b.stat().st_dev


def test_both_forms_of_the_tokenizer_say_the_same(tiny, tmp_path):
    binary = Tokenizer(tiny / "tokenizer.bin")
    (tmp_path / "tokenizer.json").write_text(json.dumps(json_of(binary)))
    other = Tokenizer(tmp_path / "tokenizer.json")
    chance = np.random.default_rng(6)
    for _ in range(200):
        ids = chance.integers(0, len(binary.pieces), 20).tolist()
        assert other.decode(ids) == binary.decode(ids)


def test_bytes_join_into_characters(tmp_path):
    vocabulary = {"<unk>": 0, "<s>": 1, "</s>": 2, "<0xE4>": 3, "<0xBD>": 4, "<0xA0>": 5, "▁hi": 6}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": vocabulary}}))
    tokenizer = Tokenizer(tmp_path / "tokenizer.json")
    assert tokenizer.decode([1, 6, 3, 4, 5, 6, 2]) == "hi你 hi"
    assert tokenizer.decode([6, 700, 6]) == "hi hi", "an id that the tokenizer does not know is silent"
    assert tokenizer.decode([]) == ""


@pytest.mark.parametrize("damage", ["empty", "cut", "[]", "{}", "not json", '{"model": {"vocab": {}}}'])
def test_a_damaged_tokenizer_is_named(tiny, tmp_path, damage):
    path = tmp_path / ("tokenizer.bin" if damage in ("empty", "cut") else "tokenizer.json")
    whole = (tiny / "tokenizer.bin").read_bytes()
    path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2 + 1]}.get(damage, damage.encode()))
    with pytest.raises(ModelFileError, match=rf"{path.name} is not a Moonshine tokenizer.*sonorant pull"):
        Tokenizer(path)


def test_another_models_network_is_refused(tiny, catalogue, tmp_path, load):
    """The encoder and the decoder change places."""
    for place, name in (("encoder_model.ort", "decoder_model_merged.ort"),
                        ("decoder_model_merged.ort", "encoder_model.ort"), ("tokenizer.bin", "tokenizer.bin")):  # fmt: skip
        (tmp_path / place).symlink_to(tiny / name)
    with pytest.raises(ModelFileError, match=r"is not Moonshine's"):
        load(tmp_path)
