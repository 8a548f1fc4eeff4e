"""CAM++ in torch: its real checkpoint on real voices, batches, and its export to ONNX."""

import asyncio
from itertools import combinations, product

import numpy as np
import onnxruntime
import pytest
import soundfile

import sonorant
from recordings import mandarin_speech, real_speech
from sonorant.catalogue import Catalogue, ModelCard
from sonorant.families.campplus.networks import FRAMES, signature
from sonorant.networks.engines.torch import Torch
from sonorant.settings import load_settings
from sonorant.tasks import AudioChunk

pytestmark = pytest.mark.heavy  # needs torch, which `make test-systems` installs


@pytest.fixture(scope="module")
def model():
    model = sonorant.load("campplus")
    yield model
    model.close()


@pytest.fixture(scope="module")
def engine():
    """The real weights."""
    from sonorant.families.campplus.dtdnn import CAMPPlus

    catalogue = Catalogue(load_settings().catalogue)
    card = catalogue.find("campplus")
    return Torch(catalogue.ensure(card) / card.files[0].name, CAMPPlus, signature())


def read(path) -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(path, dtype="float32")
    return samples, rate


def halves(samples, rate) -> list[AudioChunk]:
    middle = len(samples) // 2
    return [AudioChunk(samples[:middle], rate), AudioChunk(samples[middle:], rate)]


def test_one_voice_is_alike_and_two_are_not(model):
    """Four people in three recordings, what each says in two halves."""
    english, sentence, (lesson, rate) = (read(r.path) for r in (real_speech()[1], *mandarin_speech()))
    # "thank you, teacher": after 62 s somebody else takes over
    people = [english, sentence, (lesson[: 61 * rate], rate), (lesson[63 * rate :], rate)]
    voices = [[model.embed(half).result() for half in halves(*person)] for person in people]
    alike = [sonorant.similarity(*person) for person in voices]
    different = [
        sonorant.similarity(a, b) for one, other in combinations(voices, 2) for a, b in product(one, other)
    ]
    assert min(alike) > 0.7, alike
    assert max(different) < 0.4, different


def test_spoken_voices_are_told_apart_whatever_they_say(model):
    kokoro = sonorant.load("kokoro")

    def voice(name: str, text: str) -> np.ndarray:
        return model.embed(kokoro.say(text, voice=name).result()).result()

    texts = ("今天的天气真不错,我们出去走一走吧。", "请把这本书放回原来的书架上,谢谢你。")
    xiaoxiao, yunxi = ([voice(name, text) for text in texts] for name in ("zf_xiaoxiao", "zm_yunxi"))
    kokoro.close()
    alike = [sonorant.similarity(*xiaoxiao), sonorant.similarity(*yunxi)]
    different = [sonorant.similarity(a, b) for a, b in product(xiaoxiao, yunxi)]
    assert min(alike) > max(different) + 0.3, (alike, different)


def test_it_computes_in_torch_and_says_so(engine):
    assert engine.provider.startswith("torch ")
    assert engine.source.endswith("campplus_cn_en_common.pt")


def test_equal_lengths_may_share_a_batch_and_padding_may_not(engine):
    feats = signature().example(batch=3)["feats"]
    together = engine.prepare({"feats": feats})()["embedding"]
    for row, feat in zip(together, feats, strict=True):
        alone = engine.prepare({"feats": feat[np.newaxis]})()["embedding"][0]
        np.testing.assert_allclose(alone, row, atol=1e-5 * np.abs(row).max())  # measured: no difference
    padded = np.pad(feats[:1], ((0, 0), (0, 500), (0, 0)))
    heard = engine.prepare({"feats": padded})()["embedding"][0]
    assert np.abs(heard - together[0]).max() > 0.1 * np.abs(together[0]).max()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the exporter that CosyVoice used is an old one
def test_its_export_under_cosyvoices_names_gives_the_same(tmp_path):
    """Random weights, through the same pipeline by ONNX Runtime."""
    import torch

    from sonorant.families.campplus.dtdnn import CAMPPlus

    torch.manual_seed(0)
    module = CAMPPlus().eval()
    torch.onnx.export(
        module,
        (torch.randn(1, 200, 80),),
        str(tmp_path / "campplus.onnx"),
        input_names=["input"],
        output_names=["output"],
        dynamic_axes={"input": {0: "B", 1: "T"}, "output": {0: "B"}},
        dynamo=False,
    )
    torch.save(module.state_dict(), tmp_path / "campplus_cn_common.bin")
    session = onnxruntime.InferenceSession(tmp_path / "campplus.onnx")
    for frames in (FRAMES.min, 199, 201, 777):
        feats = signature().example(frames=frames)["feats"]
        with torch.inference_mode():
            expected = module(torch.from_numpy(feats)).numpy()
        found = session.run(None, {"input": feats})[0]
        np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())

    (tmp_path / "onnx").mkdir()
    (tmp_path / "campplus.onnx").rename(tmp_path / "onnx" / "campplus.onnx")
    speech = halves(*read(real_speech()[0].path))[0]
    vectors = []
    for folder in (tmp_path, tmp_path / "onnx"):
        model = sonorant.load(str(folder))
        vectors.append(model.embed(speech).result())
        model.close()
    assert sonorant.similarity(*vectors) > 0.9999


def test_it_is_a_part_of_other_models(model):
    """What voice cloning and diarisation will ask their host for."""
    from sonorant.replica import Device
    from sonorant.replica.host import ReplicaHost

    catalogue = Catalogue(load_settings().catalogue)
    card = ModelCard(
        name="whole",
        revision="1",
        family="silero",
        task=catalogue.find("silero-vad").task,
        languages=("*",),
        licence="MIT",
        parts={"speaker": "campplus"},
    )
    device = Device("cpu")
    host = ReplicaHost(card, catalogue, device, {})
    speech = halves(*read(mandarin_speech()[0].path))[0]

    async def audio():
        yield speech

    vector = asyncio.run(host.part("speaker").embed(audio()))
    assert np.array_equal(vector, model.embed(speech).result())
    assert [network.name for network in host.networks] == ["campplus"]
    device.close()
