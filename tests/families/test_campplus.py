"""CAM++: its layouts, its pipeline on a small graph of the same signature, and what it refuses."""

import asyncio
import subprocess
import sys

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

import sonorant
from recordings import mandarin_speech
from sonorant.audio.features import fbank
from sonorant.catalogue import Catalogue
from sonorant.errors import AudioError, LayoutError, MissingExtraError, ModelFileError, UnsupportedError
from sonorant.families import recognise
from sonorant.families.campplus import load
from sonorant.replica import Device
from sonorant.replica.host import ReplicaHost
from sonorant.settings import CatalogueSettings
from sonorant.tasks import AudioChunk, Task

RATE = 16_000
WEIGHTS = np.random.default_rng(0).normal(size=(80, 192)).astype(np.float32)


def write_graph(folder, *, bins=80, size=192):
    """CosyVoice's names and shapes; the variance of each bin, and a matrix."""
    nodes = [
        helper.make_node("Mul", ["input", "input"], ["squares"]),
        helper.make_node("ReduceMean", ["squares", "axes"], ["variances"], keepdims=0),
        helper.make_node("MatMul", ["variances", "weights"], ["output"]),
    ]
    values = {"axes": np.array([1]), "weights": WEIGHTS[:bins, :size]}
    graph = helper.make_graph(
        nodes,
        "campplus",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, "T", bins])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [1, size])],
        [numpy_helper.from_array(value, name) for name, value in values.items()],
    )
    folder.mkdir(exist_ok=True)
    opset = helper.make_opsetid("", 18)
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=[opset]), folder / "campplus.onnx")
    return folder


def expected(samples: np.ndarray) -> np.ndarray:
    vector = fbank(samples, RATE).var(axis=0) @ WEIGHTS
    return vector / np.linalg.norm(vector)


@pytest.fixture(scope="module")
def speech() -> np.ndarray:
    """70 s at 16 kHz."""
    samples, rate = soundfile.read(mandarin_speech()[1].path, dtype="float32")
    assert rate == RATE
    return samples


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    model = sonorant.load(str(write_graph(tmp_path_factory.mktemp("models") / "voices")))
    yield model
    model.close()


def test_both_forms_give_the_same_vector(model, speech):
    few = speech[: 4 * RATE]

    async def main():
        return await asyncio.gather(*(one() for _ in range(3)))

    async def one():
        return await model.embed(AudioChunk(few, RATE))

    plain = model.embed(AudioChunk(few, RATE)).result()
    assert (plain.dtype, plain.shape) == (np.float32, (192,))
    assert np.linalg.norm(plain) == pytest.approx(1, abs=1e-6)
    np.testing.assert_allclose(plain, expected(few), atol=1e-5)
    for vector in asyncio.run(main()):
        assert np.array_equal(vector, plain)


def test_files_and_bytes_give_what_samples_give(model, speech, tmp_path):
    path = tmp_path / "few.flac"
    soundfile.write(path, speech[: 4 * RATE], RATE)
    vector = model.embed(path).result()
    assert np.array_equal(model.embed(path.read_bytes()).result(), vector)
    np.testing.assert_allclose(vector, expected(speech[: 4 * RATE]), atol=1e-3)


def test_no_more_than_half_a_minute_is_taken_however_it_comes(model, speech):
    embedder = model._replica.pipeline
    vectors, taken = [], []

    async def pieces(size):
        taken.append(0)
        for start in range(0, len(speech), size):
            taken[-1] += len(speech[start : start + size])
            yield AudioChunk(speech[start : start + size], RATE)

    for size in (len(speech), RATE, 777):
        vectors.append(asyncio.run(embedder.embed(pieces(size))))
        np.testing.assert_array_equal(vectors[-1], vectors[0])
    np.testing.assert_allclose(vectors[0], expected(speech[: 30 * RATE]), atol=1e-5)
    assert taken[1] == 30 * RATE
    assert taken[2] < 30 * RATE + 777


@pytest.mark.parametrize(
    ("samples", "what"),
    [
        (np.full(RATE // 2 - 1, 0.1, np.float32), "0.50 s of audio are too short to tell a voice"),
        (np.zeros(RATE, np.float32), "silent"),
    ],
)
def test_what_holds_no_voice_is_refused(model, samples, what):
    answer = model.embed(AudioChunk(samples, RATE))
    with pytest.raises(AudioError, match=what):
        answer.result()


def test_half_a_second_is_enough(model, speech):
    assert model.embed(AudioChunk(speech[5 * RATE :][: RATE // 2], RATE)).result().shape == (192,)


def test_each_task_keeps_to_itself(model):
    with pytest.raises(UnsupportedError, match="does speaker-embedding, not speech-to-text"):
        model.transcribe(AudioChunk(np.full(RATE, 0.1, np.float32), RATE)).result()
    normalizer = sonorant.load("wetext")
    with pytest.raises(UnsupportedError, match="wetext does text-normalization, not speaker-embedding"):
        normalizer.embed(AudioChunk(np.full(RATE, 0.1, np.float32), RATE)).result()
    normalizer.close()


def test_similarity_is_the_cosine():
    a, b = np.array([1, 0], np.float32), np.array([0.6, 0.8], np.float32)
    assert sonorant.similarity(a, b) == pytest.approx(0.6)
    assert sonorant.similarity(a, (a + a) * 5) == pytest.approx(1)
    assert sonorant.similarity(a, -b) == pytest.approx(-0.6)


@pytest.mark.parametrize(
    ("file", "languages"),
    [
        ("campplus_cn_en_common.pt", ("zh", "en")),
        ("campplus_cn_common.bin", ("zh",)),
        ("campplus.onnx", ("*",)),
    ],
)
def test_the_publishers_folders_are_recognised(tmp_path, file, languages):
    (tmp_path / file).write_bytes(b"weights")
    (tmp_path / "configuration.json").write_text("{}")
    card = recognise(tmp_path)
    assert (card.family, card.task, card.sample_rate) == ("campplus", Task.EMBEDDING, RATE)
    assert card.languages == languages


def test_a_folder_of_cosyvoice_is_not_taken_for_its_part(tmp_path):
    for name in ("campplus.onnx", "cosyvoice2.yaml", "llm.pt"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(LayoutError):
        recognise(tmp_path)


@pytest.mark.parametrize(("bins", "size"), [(40, 192), (80, 128)])
def test_another_network_under_its_name_is_refused(tmp_path, bins, size):
    device, catalogue = Device("cpu"), Catalogue(CatalogueSettings(home=tmp_path / "home"))
    card = recognise(write_graph(tmp_path, bins=bins, size=size))
    with pytest.raises(ModelFileError, match="is not the network that this family runs"):
        load(card, tmp_path, ReplicaHost(card, catalogue, device, {}, precision="float32"))
    device.close()


def test_a_checkpoint_without_torch_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)  # as if it were not installed
    (tmp_path / "campplus_cn_common.bin").write_bytes(b"weights")
    with pytest.raises(MissingExtraError, match=r'pip install "sonorant\[torch\]"'):
        sonorant.load(str(tmp_path))


def test_serving_it_is_refused_at_once(tmp_path):
    write_graph(tmp_path / "voices")
    command = [sys.executable, "-m", "sonorant", "serve", str(tmp_path / "voices"), "--port", "0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert "voices does speaker-embedding, for which there is no endpoint" in " ".join(done.stderr.split())
