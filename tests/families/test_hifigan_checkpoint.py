"""HiFi-GAN in torch: the authors' three configs, weight norm, and the real checkpoint on real speech."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import hifigans
import sonorant
from listening import word_errors
from recordings import real_speech
from sonorant.errors import ModelFileError
from sonorant.families.hifigan.config import parse
from sonorant.families.hifigan.networks import signature
from sonorant.networks.engines.onnxruntime import OnnxRuntime
from sonorant.networks.engines.torch import Torch

pytestmark = pytest.mark.heavy  # needs torch, which `make test-systems` installs


def saved(path, state):
    import torch

    torch.save({"generator": {name: torch.from_numpy(value) for name, value in state.items()}}, path)
    return path


def engine(path, config):
    from sonorant.families.hifigan.pipeline import generator

    text = json.dumps(config)
    return Torch(path, lambda: generator(text), signature(parse(text)))


@pytest.mark.parametrize("config", [hifigans.TINY, hifigans.TINY_V3, hifigans.V2, hifigans.V3])
def test_the_module_computes_what_the_paper_says(tmp_path, config):
    """Beside a graph that was written without it, weight norm by its formula."""
    state = hifigans.weights(config)
    graph = OnnxRuntime(tmp_path, derived=hifigans.graph(config, state).SerializeToString())
    torch_engine = engine(saved(tmp_path / "g", state), config)
    mel = np.random.default_rng(2).uniform(-11, 2, (2, 80, 37)).astype(np.float32)
    expected, found = (one.prepare({"mel": mel})()["audio"] for one in (graph, torch_engine))
    assert found.shape == (2, 1, 37 * 256)
    assert expected.std() > 0.05
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_a_checkpoint_of_another_size_is_named(tmp_path):
    path = saved(tmp_path / "g_00000100", hifigans.weights(hifigans.TINY))
    with pytest.raises(ModelFileError, match="g_00000100 is not a checkpoint of Generator"):
        engine(path, hifigans.V2)


def test_real_speech_is_understood_after_the_real_checkpoint():
    """10 s of a reading, copied; a recogniser hears the same words."""
    vocoder, ears = sonorant.load("hifigan"), sonorant.load("moonshine-base")
    recording = real_speech()[0]
    copy = vocoder.vocode(recording.path).result()
    assert copy.seconds == pytest.approx(10, abs=0.1)
    plain, heard = (ears.transcribe(audio).text for audio in (recording.path, copy))
    errors, words = word_errors(plain, heard)
    assert words >= 12
    assert errors <= 1
    vocoder.close()
    ears.close()


def test_its_export_is_served_without_torch(tmp_path):
    """From .pth to ONNX in a home of its own, and then a process in which torch cannot be imported."""
    from sonorant.networks.artefacts import Artefacts
    from sonorant.networks.engines.onnxruntime import described
    from sonorant.prepare.checkpoints import export_model
    from sonorant.settings import load_settings

    place = hifigans.folder(tmp_path / "tiny", hifigans.TINY)
    saved(place / "g_00000100", hifigans.weights(hifigans.TINY))
    (tmp_path / "s.toml").write_text(f'[catalogue]\nhome = "{tmp_path}"\n')
    told = []
    [made] = export_model(
        str(place), load_settings(tmp_path / "s.toml"), lambda share, doing: told.append(doing)
    )
    artefacts = Artefacts(tmp_path, described("cpu"))
    assert artefacts.kept(Path(made["path"]), "export", made["recipe"]).proof.holds
    assert told == ["export by dynamo", "export by legacy", "time the exports"]
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np, pathlib, sonorant\n"
        f"model = sonorant.load({str(place)!r}, config=pathlib.Path({str(tmp_path / 's.toml')!r}))\n"
        "print(len(model.vocode(np.full((80, 50), -4, np.float32)).result().samples))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == str(50 * 256), done.stderr
