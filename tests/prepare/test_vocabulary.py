"""Tokens are taken out of a model: which, how that is proven, and what serves afterwards."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from hosts import host
from prepare import graphs
from prepare.test_pruning import copied, state, transformer
from prepare.test_session import Gate
from sonorant.errors import ModelError, PassError, RequestError
from sonorant.families.moonshine import step
from sonorant.families.moonshine.tokenizer import Tokenizer
from sonorant.families.moonshine.weights import Linear, Norm
from sonorant.networks import derived
from sonorant.networks.artefacts import Artefacts
from sonorant.networks.engines.onnxruntime import described
from sonorant.networks.proof import Proof, Quality
from sonorant.networks.steps import memory_signature, steps_signature
from sonorant.networks.vocabulary import Vocabulary
from sonorant.prepare import record, session
from sonorant.prepare.making import derive, make
from sonorant.prepare.passes import recipe
from sonorant.prepare.passes.kind import Material
from sonorant.prepare.passes.prune_vocabulary import taken_out, unsaid
from sonorant.prepare.pruned import filled, smaller
from sonorant.prepare.quality.recordings import FILES
from sonorant.prepare.quality.sentences import lines
from sonorant.prepare.recipes import way
from sonorant.prepare.subject import Subject
from sonorant.prepare.tokens import Tokens, counted, texts
from sonorant.settings import NetworkSettings, load_settings

RECIPE = "prune-vocabulary-30"
HIDDEN, HEADS, VOCABULARY = 12, 2, 40
SIZES = {"layers": 1, "heads": HEADS, "width": HIDDEN // HEADS}


@pytest.fixture
def saying(made) -> Subject:
    """A network that says tokens, of which its languages need some."""
    subject, _ = made(graphs.transformer)
    return replace(subject, tokens=Tokens(graphs.TOKENS, {7: 9, graphs.TOKENS - 1: 2}, (0, 1)))


def test_what_stays_is_proven_and_must_be_judged_all_the_same(saying, tmp_path):
    """Recorded tokens that are gone, and those that the source would say, count for nothing."""
    evidence = derive(tmp_path, saying, recipe(RECIPE))
    assert (evidence.fault, evidence.worst > 90, evidence.exact) == ("", True, False)
    cuts = json.loads((tmp_path / "pruned.json").read_text())["cuts"]
    kept = saying.tokens.kept(0.3)
    assert [(cut["of"], cut["kept"]) for cut in cuts] == [("tokens", kept)] * 3
    assert {0, 1, 7, graphs.TOKENS - 1} <= set(kept)
    assert len(kept) == round(0.7 * graphs.TOKENS)
    known = Artefacts(tmp_path / "home", described("cpu")).make(
        saying.path, "prepared", "prepared-2.x", lambda folder: derive(folder, saying, recipe(RECIPE))
    )
    proof = Proof.from_json((known.folder / "proof.json").read_text())
    assert (proof.holds, proof.served) == (True, False), "no gate has heard it"


def test_who_trains_it_on_gets_the_rows_that_stayed(tmp_path):
    source, material = transformer(), Material(tokens=Tokens(graphs.TOKENS, {48: 1}, (0,)))
    less = taken_out(copied(source), material, ratio=0.5)
    kept, whole = material.tokens.kept(0.5), state(source)
    small = smaller(whole, source, less)
    rows = [name for name, value in small.items() if value.shape != whole[name].shape]
    assert len(rows) == 3, "the embedding, the output matrix, and its bias"
    for name in rows:
        axis = whole[name].shape.index(graphs.TOKENS)
        np.testing.assert_array_equal(small[name], np.take(whole[name], kept, axis))
    tuned = filled(less, small, {**small, rows[0]: 2 * small[rows[0]]})
    values = [numpy_helper.to_array(weight) for weight in tuned.graph.initializer]
    twice = 2 * small[rows[0]]
    assert any(np.array_equal(value, twice) or np.array_equal(value.T, twice) for value in values)


def test_a_network_of_which_nobody_knows_the_tokens_is_refused(made, tmp_path):
    subject, _ = made(graphs.transformer)
    with pytest.raises(PassError, match="not known which tokens"):
        derive(tmp_path, subject, recipe(RECIPE))
    subject, _ = made(graphs.vocoder)
    with pytest.raises(PassError, match="0 matrices with 50 columns"):
        derive(tmp_path, replace(subject, tokens=Tokens(50, {}, ())), recipe("prune-vocabulary-10"))


def test_other_texts_are_other_tokens(saying, tmp_path, monkeypatch):
    monkeypatch.setenv("SONORANT_CATALOGUE__HOME", str(tmp_path))
    gate = Gate(saying, 0)
    monkeypatch.setattr(session, "_child", gate.child)
    asked = session.Asked("voice", (way(RECIPE),))
    made = []
    mine = tmp_path / "mine.txt"
    with pytest.raises(RequestError, match="no file.*mine.txt"):
        session.prepare(replace(asked, texts=(mine,)), load_settings())
    mine.write_text("hello there\n", encoding="utf-8")
    for written in ((), (), (mine,)):
        gate.targets.clear()
        [row] = session.prepare(replace(asked, texts=written), load_settings())
        assert row.artefact.proof.served
        made.append("make_one" in gate.targets)
    assert made == [True, False, True]


def test_what_is_kept_of_a_subject_holds_its_tokens(saying, tmp_path):
    saying.save(tmp_path / "0")
    assert Subject.read(tmp_path / "0").tokens == saying.tokens


def test_texts_are_the_users_or_those_that_come_along(tmp_path):
    english = texts(["en-GB"])
    assert any("Edinburgh" in line for line in english)
    heard = {text for _, _, text in FILES} | set(lines("english"))
    assert not heard & set(english), "the gate would hear no loss"
    assert not set(english) & set(texts(["zh"]))
    mine = tmp_path / "mine.txt"
    mine.write_text("One.\n\n  Two.\n")
    assert texts(["en"], [mine]) == ["One.", "Two."]
    mine.write_text("\n")
    with pytest.raises(RequestError, match="holds no text"):
        texts(["en"], [mine])
    with pytest.raises(RequestError, match="cannot be read as text"):
        texts(["en"], [tmp_path / "none.txt"])
    found = counted(Vocabulary(lambda text: [len(text), 99], frozenset({1, 99})), 50, ["abc", "def", "g"])
    assert (found.used, found.always) == ({3: 2, 1: 1}, (1,))


def test_text_becomes_tokens_as_they_were_learned(tmp_path):
    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [
        "in",
        "er",
        "inn",
        "▁w",
        "▁win",
        "▁winner",
        "ner",
        "▁",
        "w",
        "i",
        "n",
        "e",
        "r",
        "s",
        "<<ST_0>>",
    ]
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps({"model": {"vocab": {piece: i for i, piece in enumerate(pieces)}}}))
    tokenizer = Tokenizer(path)

    def split(text: str) -> list[bytes]:
        return [tokenizer.pieces[token] for token in tokenizer.encode(text)]

    assert split("winner") == ["▁w".encode(), b"inn", b"er"], "'in' and 'er' came before '▁w' and 'inn'"
    assert tokenizer.decode(tokenizer.encode("wins né winé")) == "wins né winé"
    assert pieces.index("<<ST_0>>") not in tokenizer.always
    assert {0, 1, 2, 3, 258, pieces.index("w")} <= tokenizer.always
    assert pieces.index("▁w") not in tokenizer.always


class Weights:
    """Random ones of 8 bits, as Moonshine's decoder has them."""

    quantised = True
    frequencies = np.array([1.0, 0.1], np.float32)

    def __init__(self) -> None:
        self.known: dict[str, Linear] = {}

    def linear(self, name: str) -> Linear:
        sizes = {"proj_out": (HIDDEN, VOCABULARY), "fc1": (HIDDEN, 20), "fc2": (10, HIDDEN)}
        return self._of(name, sizes.get(name.rpartition("/")[2], (HIDDEN, HIDDEN)))

    def norm(self, name: str) -> Norm:
        return Norm(np.ones(HIDDEN, np.float32), np.zeros(HIDDEN, np.float32), 1e-5)

    def embedding(self) -> Linear:
        return self._of("embedding", (VOCABULARY, HIDDEN))

    def _of(self, name: str, shape: tuple[int, int]) -> Linear:
        if name not in self.known:
            random = np.random.default_rng(len(self.known))
            weight = random.integers(0, 255, shape).astype(np.uint8)
            self.known[name] = Linear(weight, None, np.float32([0.01])[0], np.uint8(128))
        return self.known[name]


@pytest.mark.parametrize("alone", [False, True])
def test_moonshines_steps_in_8_bits(monkeypatch, alone):
    """The networks of which its publisher's decoder is made anew: of several rows, and of one."""
    monkeypatch.setattr(step, "read", lambda path, branch: None)
    monkeypatch.setattr(step, "weights_of", lambda source: Weights())
    signature = steps_signature(**SIZES, vocabulary=VOCABULARY)
    made = list(step.step_models(Path("decoder.ort"), memory_signature(**SIZES, hidden=HIDDEN), signature))
    source = onnx.load_from_string(made[2 if alone else 0])
    material = Material(tokens=Tokens(VOCABULARY, {39: 3}, (0, 1, 2)))
    kept = material.tokens.kept(0.5)
    feeds = signature.example(batch=1 if alone else 3) | {"token": np.array([39] if alone else [39, 1, 38])}

    def run(model: onnx.ModelProto) -> dict[str, np.ndarray]:
        onnx.checker.check_model(model)
        outputs = ort.InferenceSession(model.SerializeToString()).run(None, feeds)
        return dict(zip([value.name for value in model.graph.output], outputs, strict=True))

    before = run(source)
    wanted, less = (
        run(each(onnx.load_from_string(source.SerializeToString()), material, ratio=0.5))
        for each in (unsaid, taken_out)
    )
    for name, value in wanted.items():
        np.testing.assert_allclose(less[name], value, atol=1e-5, err_msg=name)
    rows = slice(0, 2)  # the last one read a token that is gone
    np.testing.assert_allclose(less["logits"][rows, kept], before["logits"][rows, kept], atol=1e-5)
    assert set(less["next"]) <= set(kept)
    small = taken_out(onnx.load_from_string(source.SerializeToString()), material, ratio=0.5)
    shapes = {tuple(weight.dims) for weight in small.graph.initializer}
    assert {(20, HIDDEN), (HIDDEN, 20)} <= shapes
    assert not {(VOCABULARY, HIDDEN), (HIDDEN, VOCABULARY)} & shapes


def test_what_is_made_of_a_network_that_was_written_anew_serves(saying, tmp_path):
    source = tmp_path / "decoder.ort"
    source.write_bytes(b"as published")
    written = saying.path.read_bytes()
    plain = host(tmp_path, "auto")
    plain.session("step", source, derived=written)
    assert not plain.prepared
    store = Artefacts(tmp_path / "home", described("cpu"))
    file = derived.keep(store, source, "step", written)
    artefact = make(replace(saying, path=file), recipe(RECIPE), store)
    store.judged(artefact, Quality({"wer_increase": 0.0}))

    def served(model: bytes):
        chosen = host(tmp_path, "auto")
        chosen._engines._networks = {"step": NetworkSettings(artefact=RECIPE)}
        chosen.session("step", source, derived=model)
        return [each.folder for each in chosen.prepared]

    assert served(written) == [artefact.folder]
    with pytest.raises(ModelError, match=f"No {RECIPE} of it is proven"):
        served(written + b" ")  # of another version


def test_loops_of_decoding_are_remembered(saying, tmp_path):
    card = host(tmp_path, "auto")
    recording = record.RecordingHost(card._card, card._catalogue, card._device, {})
    source = tmp_path / "decoder.ort"
    source.write_bytes(b"as published")
    engine = recording.session("step", source, derived=saying.path.read_bytes())
    ids = np.array([[3, 4]])
    [found] = engine.session.run_with_ort_values(
        ["logits"], {"ids": ort.OrtValue.ortvalue_from_numpy(ids)}, None
    )
    assert found.numpy().shape == (1, 2, graphs.TOKENS)
    assert recording.heard[0].feeds[0]["ids"].tolist() == ids.tolist()
    assert recording.heard[0].path.read_bytes() == saying.path.read_bytes()
