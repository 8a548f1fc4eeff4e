"""Piper: any voice's folder. The joe voice, and tiny voices with random weights that are made here."""

import asyncio
import json
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from sonorant.audio.joins import sound, with_pauses
from sonorant.catalogue import Catalogue
from sonorant.errors import MissingExtraError, ModelFileError, RequestError, SonorantError
from sonorant.families import piper, recognise
from sonorant.families.piper.networks import PHONEMES
from sonorant.networks import streaming
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.streaming import Streamed
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import CatalogueSettings, load_settings
from sonorant.tasks import AudioChunk, SpeechRequest, Task
from sonorant.text import espeak
from sonorant.text.lexicon import entries
from sonorant.text.timing import shifted

ALPHABET = "_^$ abcdefghijklmnopqrstuvwxyzäöüß.,"
CONFIG = {
    "audio": {"sample_rate": 16_000},
    "phoneme_type": "text",
    "language": {"code": "de_DE"},
    "dataset": "tiny",
    "num_symbols": len(ALPHABET),
    "phoneme_id_map": {letter: [i] for i, letter in enumerate(ALPHABET)},
    "inference": {"noise_scale": 0.5, "length_scale": 1.0, "noise_w": 0.7},
}


def network(path: Path, *, speakers: int = 1) -> None:
    """Piper's tensors; 64 samples an id, louder with the speaker's number, more at a slower pace."""
    value = helper.make_tensor_value_info
    inputs = [
        value("input", TensorProto.INT64, ["b", "p"]),
        value("input_lengths", TensorProto.INT64, ["b"]),
        value("scales", TensorProto.FLOAT, [3]),
    ]
    wave = np.random.default_rng(0).normal(0, 0.002, (1, 1, 64)).astype(np.float32)
    constants = {
        "wave": wave, "two": np.array([2]), "shape": np.array([1, 1, 1, -1]), "one": np.ones(1, np.float32),
        "from": np.array([1]), "to": np.array([2]), "round": np.array([1], np.int64),
    }  # fmt: skip
    node = helper.make_node
    nodes = [
        node("Cast", ["input"], ["ids"], to=TensorProto.FLOAT),
        node("Unsqueeze", ["ids", "two"], ["column"]),
        node("Mul", ["column", "wave"], ["frames"]),
        node("Slice", ["scales", "from", "to"], ["length"]),
        node("Cast", ["length"], ["repeats"], to=TensorProto.INT64),
        node("Concat", ["round", "round", "repeats"], ["tiles"], axis=0),
        node("Tile", ["frames", "tiles"], ["long"]),
        node("Reshape", ["long", "shape"], ["flat"]),
    ]
    if speakers > 1:
        inputs.append(value("sid", TensorProto.INT64, ["b"]))
        nodes += [
            node("Cast", ["sid"], ["number"], to=TensorProto.FLOAT),
            node("Add", ["number", "one"], ["loudness"]),
            node("Mul", ["flat", "loudness"], ["output"]),
        ]
    else:
        nodes.append(node("Identity", ["flat"], ["output"]))
    graph = helper.make_graph(
        nodes, "voice", inputs, [value("output", TensorProto.FLOAT, ["b", 1, 1, "n"])],
        [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()],
    )  # fmt: skip
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 17)]), path)


def folder(path: Path, *, without: str = "", **changes) -> Path:
    """A voice's folder. `changes` go into its settings, `without` is taken out of them."""
    path.mkdir(exist_ok=True)
    config = CONFIG | changes
    config.pop(without, None)
    network(path / "tiny.onnx", speakers=len(config.get("speaker_id_map", {})))
    (path / "tiny.onnx.json").write_text(json.dumps(config))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """Where the parts of voices are kept: a home of its own, in which nothing lies from before."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def load(home):
    catalogue, device = Catalogue(CatalogueSettings(home=home)), Device("cpu")

    def load(path: Path):
        card = recognise(path)
        return piper.load(card, path, ReplicaHost(card, catalogue, device, {"intra_op_num_threads": 2}))

    yield load
    device.close()


@pytest.fixture(scope="module")
def joe() -> Path:
    catalogue = Catalogue(load_settings().catalogue)
    return catalogue.ensure(catalogue.find("piper-joe"))


def chunks_of(model, text: str, **request) -> list[AudioChunk]:
    async def once():
        yield text

    async def main():
        asked = SpeechRequest(model="m", **{"voice": model.describe().voices[0].name} | request)
        return [chunk async for chunk in model.synthesize(asked, once())]

    return asyncio.run(main())


def spoken(model, text: str, **request) -> np.ndarray:
    chunks = chunks_of(model, text, **request)
    rate = model.describe().sample_rate
    assert all(chunk.sample_rate == rate for chunk in chunks)
    return np.concatenate([np.zeros(0, np.float32), *(chunk.samples for chunk in chunks)])


def test_a_copy_of_a_voice_is_recognised_and_speaks(joe, tmp_path, load):
    for file in joe.iterdir():
        (tmp_path / file.name).symlink_to(file)
    voice = load(tmp_path)
    described = voice.describe()
    assert (described.task, described.sample_rate, described.languages) == (Task.SPEECH, 22_050, ("en-US",))
    samples = spoken(voice, "There are 12 of them. Good morning!")
    assert 1.5 < len(samples) / 22_050 < 6
    assert np.isfinite(samples).all()
    assert np.sqrt(np.mean(samples**2)) > 0.01
    assert len(spoken(voice, "...")) == 0


def test_numbers_are_written_out_before_they_become_phonemes(joe, load):
    voice = load(joe)
    assert voice.pieces("It costs $25.")[0].ids == voice.pieces("It costs twenty five dollars.")[0].ids


def test_a_voice_on_characters_speaks_another_language(tmp_path, load):
    voice = load(folder(tmp_path / "thorsten"))
    assert voice.describe().languages == ("de-DE",)
    assert [v.name for v in voice.describe().voices] == ["tiny"]
    assert len(spoken(voice, "Schöne Grüße.")) > 1000
    pauses = (0.05 + 0.6) * 16_000
    slow, fast = (len(spoken(voice, "Guten Tag, guten Tag.", speed=s)) - pauses for s in (0.5, 1.0))
    assert slow == pytest.approx(2 * fast, rel=0.1)


def test_characters_are_folded_only_where_the_voice_lacks_capitals(tmp_path, load):
    folded = load(folder(tmp_path / "a"))
    assert folded.pieces("AB")[0].ids == folded.pieces("ab")[0].ids
    capitals = CONFIG["phoneme_id_map"] | {"A": [3]}
    kept = load(folder(tmp_path / "b", phoneme_id_map=capitals))
    assert kept.pieces("Ab")[0].ids != kept.pieces("ab")[0].ids


def test_each_speaker_is_a_voice(tmp_path, load):
    voice = load(folder(tmp_path / "many", speaker_id_map={"anna": 0, "bert": 1, "carl": 2}))
    assert [v.name for v in voice.describe().voices] == ["anna", "bert", "carl"]
    anna, carl = (np.abs(spoken(voice, "hallo", voice=name)).max() for name in ("anna", "carl"))
    assert carl == pytest.approx(3 * anna, rel=1e-4)


def test_a_long_sentence_is_spoken_in_pieces_and_whole(tmp_path, load):
    voice = load(folder(tmp_path / "long"))
    pieces = voice.pieces("abcde " * 600)
    assert len(pieces) == 2
    assert all(len(piece.ids) <= PHONEMES.max for piece in pieces)
    letters = [ALPHABET[i] for piece in pieces for i in piece.ids if i > 2]
    assert "".join(letters) == "abcde " * 600
    assert all((piece.ids[0], piece.ids[-1]) == (1, 2) for piece in pieces)
    assert all(sum(piece.sizes) + 1 == len(piece.ids) for piece in pieces)
    assert sum(piece.words.count("abcde") for piece in pieces) == 600


def test_words_are_timed_where_they_sound(joe, load):
    """By the durations inside the network: the first and last sound are words', a comma's pause lies between."""
    voice = load(joe)
    assert voice.describe().word_times
    text = ("One of the things costs $25 at the example.com site.", "In a way, Dr. Smith was right!")
    chunks = [together(chunks_of(voice, sentence)) for sentence in text]
    assert [[word.text for word in chunk.words] for chunk in chunks] == [
        ["One", "of the", "things", "costs", "$25", "at", "the", "example.com", "site."],
        ["In", "a", "way,", "Dr.", "Smith", "was", "right!"],
    ]
    for chunk in chunks:
        first, last = (edge / 22_050 for edge in sound(chunk.samples, 22_050))
        assert chunk.words[0].start == pytest.approx(first, abs=0.05)
        assert chunk.words[-1].end == pytest.approx(last, abs=0.05)
        for before, after in pairwise(chunk.words):
            assert before.start < before.end <= after.start
        loudest = [level(chunk, word.start, word.end) for word in chunk.words]
        assert min(loudest) > 0.03 * max(loudest)
    way, doctor = chunks[1].words[2:4]
    assert level(chunks[1], way.end + 0.08, doctor.start - 0.04) < 0.1 * level(chunks[1], way.start, way.end)


def together(chunks: list[AudioChunk]) -> AudioChunk:
    """One chunk of all, as whoever listens to them puts them together."""
    words, at = [], 0.0
    for chunk in chunks:
        words += shifted(chunk.words, at)
        at += chunk.seconds
    return AudioChunk(np.concatenate([c.samples for c in chunks]), chunks[0].sample_rate, tuple(words))


def test_a_sentence_is_heard_before_all_of_it_is_computed_and_is_the_same(joe, load):
    """The parts give the sound that the whole network gives; noise apart, which no two runs share."""
    voice = load(joe)
    assert isinstance(voice._voice, Streamed)
    voice._config = replace(voice._config, noise_scale=0.0, noise_w=0.0)
    text = "When the storm finally passed, the fishermen went down to the harbour to see what was left."
    chunks = chunks_of(voice, text)
    assert len(chunks) > 3
    assert chunks[0].seconds < 0.3
    first, last = sound(chunks[0].samples, 22_050)
    assert last - first > 0.1 * 22_050
    [piece] = voice.pieces(text)
    whole = OnnxRuntime(joe / "en_US-joe-medium.onnx").prepare(
        {
            "input": np.array([piece.ids]),
            "input_lengths": np.array([len(piece.ids)]),
            "scales": np.array([0, 1, 0], np.float32),
        }
    )()["output"]
    expected, _ = with_pauses(np.clip(whole.reshape(-1), -1, 1), 22_050, tail=0.6)
    joined = together(chunks)
    np.testing.assert_allclose(joined.samples, expected, atol=1e-4)
    assert " ".join(word.text for word in joined.words) == text


def test_a_word_comes_with_the_chunk_in_which_it_ends(joe, load):
    chunks = chunks_of(load(joe), "When the storm finally passed, they went down to the harbour.")
    for chunk in chunks:
        assert all(0 < word.end <= chunk.seconds and word.start < word.end for word in chunk.words)
    assert any(word.start < 0 for chunk in chunks for word in chunk.words)
    assert chunks[0].words[0].start >= 0


def test_a_second_start_takes_the_parts_that_were_kept(joe, load, home, monkeypatch):
    load(joe)
    monkeypatch.setattr(streaming, "written", None)
    voice = load(joe)
    assert isinstance(voice._voice, Streamed)
    assert "There" in together(chunks_of(voice, "There it is.")).words[0].text
    assert str(home) in voice._voice.front.engine.source


def test_a_voice_that_cannot_be_cut_begins_with_a_clause(tmp_path, load, caplog):
    voice = load(folder(tmp_path / "v"))
    assert "tiny.onnx is used as it is: no exact cut: no convolution of the network upsamples" in caplog.text
    text = "nach dem abendessen, als es schon dunkel war, las sie den brief noch zweimal und legte ihn fort."
    begin, rest = chunks_of(voice, text)
    letters = (20, len(text) - 21)
    spoken = (begin.seconds - 0.05 - 0.12, rest.seconds - 0.05 - 0.6)
    assert spoken == pytest.approx([128 * count / 16_000 for count in letters], abs=0.02)


def level(chunk: AudioChunk, start: float, end: float) -> float:
    """RMS from `start` to `end`, seconds."""
    return float(np.sqrt(np.mean(np.square(chunk.samples[round(start * 22_050) : round(end * 22_050)]))))


def test_a_voice_without_durations_gives_no_times(tmp_path, load):
    voice = load(folder(tmp_path / "v"))
    assert not voice.describe().word_times
    assert [chunk.words for chunk in chunks_of(voice, "Guten Tag.")] == [None]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"without": "num_symbols"}, "the key 'num_symbols' is missing"),
        ({"without": "audio"}, "the key 'audio' is missing"),
        ({"audio": {}}, "the key 'sample_rate' is missing"),
        ({"language": {}}, "the key 'espeak' is missing"),
        ({"phoneme_id_map": {"a": [1]}}, r"phoneme_id_map has no \$ \^ _"),
        ({"num_symbols": 5}, "holds ids beyond num_symbols, 5"),
        ({"phoneme_id_map": ["a"]}, "phoneme_id_map|items"),
        ({"speaker_id_map": {"anna": "first", "bert": 1}}, "invalid literal"),
    ],
)
def test_what_is_missing_in_the_settings_is_named(tmp_path, load, change, message):
    with pytest.raises(ModelFileError, match=rf"tiny\.onnx\.json is not the settings.*({message})"):
        load(folder(tmp_path / "v", **change))


def test_settings_that_are_cut_off_are_named(tmp_path, load):
    path = folder(tmp_path / "v") / "tiny.onnx.json"
    path.write_text(path.read_text()[:-5])
    with pytest.raises(ModelFileError, match=r"tiny\.onnx\.json"):
        load(path.parent)


def test_unknown_phonemes_are_refused(tmp_path, load):
    with pytest.raises(ModelFileError, match="'pinyin'.*espeak and text"):
        load(folder(tmp_path / "v", phoneme_type="pinyin"))


def test_a_network_with_other_speakers_than_the_settings_is_refused(tmp_path, load):
    path = folder(tmp_path / "v")
    network(path / "tiny.onnx", speakers=2)
    with pytest.raises(ModelFileError, match="sid"):
        load(path)


def test_a_missing_front_end_says_what_to_install(joe, load, monkeypatch):
    monkeypatch.setitem(sys.modules, "piper.phonemize_espeak", None)
    monkeypatch.setattr(espeak, "_espeak", None)
    with pytest.raises(MissingExtraError, match=r'pip install "sonorant\[espeak\]"'):
        load(joe)


@pytest.mark.parametrize("files", [(), ("voice.onnx",), ("voice.onnx", "voice.onnx.json")])
def test_what_is_no_voice_is_not_recognised(tmp_path, files):
    for name in files:
        (tmp_path / name).write_text('{"model_type": "other"}')
    with pytest.raises(SonorantError, match="No family recognises"):
        recognise(tmp_path)


def test_a_lexicon_holds_for_a_voice(load, joe: Path) -> None:
    voice = load(joe)
    lexicon = entries({"en": {"GIF": "/dʒˈɪf/", "Qt": "cute"}})
    assert voice.pieces("GIF.", lexicon)[0].ids == voice.pieces("Jiff.")[0].ids
    assert voice.pieces("Qt.", lexicon)[0].ids == voice.pieces("Cute.")[0].ids
    assert [word for word in voice.pieces("A GIF in Qt.", lexicon)[0].words if word] == [
        "A",
        "GIF",
        "in",
        "Qt",
    ]
    with pytest.raises(RequestError, match="does not know"):
        voice.pieces("A GIF.", entries({"en": {"GIF": "/Жɪf/"}}))
