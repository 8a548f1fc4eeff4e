"""Files of weights in a folder: what they are is told by their bytes, whatever they are called."""

import json
import os
import pickle
import zipfile

import numpy as np
import pytest

import hifigans
from doctor.model.made import checkpoint, codes, diagnosed, network, safetensors, saved, weights
from sonorant.doctor.model.child import look
from sonorant.families.hifigan.config import parse

PUBLISHED = "generator_universal.pth.tar"
"""what the authors call it"""


class Bomb:
    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


@pytest.fixture
def mark(tmp_path):
    """A file that planted code would create."""
    path = tmp_path / "executed"
    yield path
    assert not path.exists(), "planted code was run"


def vocoder(tmp_path, config=hifigans.TINY, state=None, *, settings=None, name=PUBLISHED):
    """A HiFi-GAN in its authors' layout."""
    place = hifigans.folder(tmp_path / "vocoder", settings or config)
    (place / "g_00000100").unlink()
    checkpoint(place / name, {"generator": hifigans.weights(config) if state is None else state})
    return place


@pytest.mark.parametrize("config", [hifigans.TINY, hifigans.TINY_V3])
def test_a_healthy_one_gets_a_summary(tmp_path, config):
    outcome = look(str(vocoder(tmp_path, config)))
    assert (outcome["family"], outcome["findings"]) == ("hifigan", [])
    (facts,) = outcome["files"]
    assert (facts["file"], facts["kind"]) == (PUBLISHED, "PyTorch")
    assert facts["parameters"] == sum(value.size for value in hifigans.weights(config).values())


def test_nan(tmp_path):
    state = hifigans.weights(hifigans.TINY)
    state["ups.2.weight_v"][0, 0, 0] = np.nan
    diagnosed(vocoder(tmp_path, state=state), "nan-weights", "generator.ups.2.weight_v")


def test_half_a_file(tmp_path):
    place = vocoder(tmp_path)
    os.truncate(place / PUBLISHED, (place / PUBLISHED).stat().st_size // 2)
    diagnosed(place, "truncated", PUBLISHED)


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("name", [PUBLISHED, "g_00000100", "generator.th", "generator.safetensors"])
def test_a_planted_command_in_a_familys_checkpoint(tmp_path, mark, name, protocol):
    place = vocoder(tmp_path, name=name)
    (place / name).write_bytes(pickle.dumps({"generator": Bomb(mark)}, protocol))
    diagnosed(place, "pickle-runs-code", "system", name)


@pytest.mark.parametrize("name", ["m.th", "m.model", "m.ckpt", "m.pth.gz", "m.dat", "m.weights", "m"])
def test_a_planted_command_under_any_name(tmp_path, mark, name):
    place = vocoder(tmp_path)
    (place / name).write_bytes(pickle.dumps(Bomb(mark), 4))
    diagnosed(place, "pickle-runs-code", "system", name)


def test_a_command_before_the_place_where_a_pickle_breaks_off(tmp_path, mark):
    """Loading one runs what stands before its fault."""
    place = vocoder(tmp_path)
    whole = pickle.dumps([Bomb(mark), "x" * 100], 4)
    (place / PUBLISHED).write_bytes(whole[:-50])
    assert codes(place) == {"pickle-runs-code": "error", "truncated": "error"}
    (place / PUBLISHED).write_bytes(b"cos\nsystem\n(S'touch " + str(mark).encode() + b"'\ntR\xff\xff")
    assert codes(place) == {"pickle-runs-code": "error", "truncated": "error"}


def test_a_command_in_a_second_table_of_the_archive(tmp_path, mark):
    place = vocoder(tmp_path)
    with zipfile.ZipFile(place / PUBLISHED, "a") as archive:
        archive.writestr("other/data.pkl", pickle.dumps(Bomb(mark), 2))
    diagnosed(place, "pickle-runs-code", "system")


@pytest.mark.parametrize("name", [PUBLISHED, "g_00000100"])
def test_what_is_no_checkpoint_at_all(tmp_path, name):
    place = vocoder(tmp_path, name=name)
    (place / name).write_bytes(b"weights")
    diagnosed(place, "not-a-model", "'weights'", name)
    saved(place / name)
    assert "misnamed" in codes(place)


def test_weights_of_another_family_that_are_none(tmp_path):
    (tmp_path / "campplus_cn_common.bin").write_bytes(b"?" * 100)
    diagnosed(tmp_path, "not-a-model", "campplus_cn_common.bin")


def test_sizes_that_the_settings_do_not_say(tmp_path):
    """The engine refuses it, too, where torch is there: tests/families/test_hifigan_checkpoint.py."""
    place = vocoder(tmp_path, settings=hifigans.TINY | {"upsample_initial_channel": 32})
    told = "generator.conv_pre.bias is [16], not [32]"
    diagnosed(place, "wrong-size", told, PUBLISHED, "same model")
    diagnosed(place / PUBLISHED, "wrong-size", told)


@pytest.mark.parametrize(
    "dilations", [[[1, 3], [1, 3], [1, 3]], [[1, 3, 5, 7], [1, 3, 5, 7], [1, 3, 5, 7]]], ids=["fewer", "more"]
)
def test_layers_that_the_settings_do_not_say(tmp_path, dilations):
    place = vocoder(tmp_path, settings=hifigans.TINY | {"resblock_dilation_sizes": dilations})
    diagnosed(place, "wrong-name", "generator.resblocks.", "another model's checkpoint")


def test_weight_norm_may_have_been_removed(tmp_path):
    state = hifigans.weights(hifigans.TINY)
    for name in [name for name in state if name.endswith("_v")]:
        state[name.removesuffix("_v")] = state.pop(name)
        del state[name.removesuffix("_v") + "_g"]
    assert codes(vocoder(tmp_path, state=state)) == {}


@pytest.mark.heavy
@pytest.mark.parametrize("config", [hifigans.TINY, hifigans.TINY_V3])
def test_the_shapes_are_those_of_the_module(config):
    pytest.importorskip("torch")
    from sonorant.families.hifigan.generator import Generator
    from sonorant.families.hifigan.shapes import wanted

    state = Generator(parse(json.dumps(config))).state_dict()
    plain = {f"generator.{name}": tuple(value.shape) for name, value in state.items()}
    assert wanted(parse(json.dumps(config)), plain) == plain


def test_what_else_lies_in_a_folder_is_no_model(tmp_path):
    """Texts, arrays and archives that begin like a model, or hold one."""
    place = vocoder(tmp_path)
    np.savez(place / "mel.npz", mel=weights(4, 4))
    with zipfile.ZipFile(place / "samples.zip", "w") as archive:
        archive.writestr("a.wav", b"RIFF")
    (place / "graph.pb").write_bytes(b"\x08\x01\x12\x04abcd")
    (place / "style.css").write_text(":root { color: red }\n" * 100)
    (place / "words.txt").write_text("cat\ndog\n(in the house)\n")
    (place / "notes.lisp").write_text("(include\nstdio\n)\n")
    (place / "random.dat").write_bytes(np.random.default_rng(0).bytes(5000))
    assert codes(place) == {}


def test_models_under_other_endings_are_read(tmp_path):
    place = vocoder(tmp_path)
    bad = weights(32, 32)
    bad[0, 0] = np.nan
    saved(place / "graph.model", network(bad))
    diagnosed(place, "nan-weights", "graph.model")
    safetensors(place / "graph.model", data=bad.tobytes())
    diagnosed(place, "nan-weights", "graph.model")
