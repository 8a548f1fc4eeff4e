"""Folders: layouts that are nearly right, settings, what is missing and what does not belong there."""

import json
import os

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

import hifigans
from doctor.model.made import checkpoint, codes, diagnosed, network, safetensors, saved, weights
from sonorant.doctor.model.child import look

SILERO = "silero_vad_16k_sequence.onnx"
PIPER = {
    "audio": {"sample_rate": 16000},
    "espeak": {"voice": "en"},
    "num_symbols": 4,
    "phoneme_id_map": {"^": [1], "$": [2], "_": [0], "a": [3]},
    "dataset": "tiny",
}


def value(name, kind, *dims):
    return helper.make_tensor_value_info(name, kind, dims)


def silero(path, **change):
    """Silero's tensors, and nothing of what it computes."""
    frames = change.get("frames", "T")
    kind = change.get("kind", TensorProto.FLOAT)
    inputs = [
        value(change.get("name", "input"), kind, frames, 576),
        value("h", TensorProto.FLOAT, *change.get("state", (1, 1, 128))),
        value("c", TensorProto.FLOAT, 1, 1, 128),
    ]
    nodes = [
        *([helper.make_node("Cast", [inputs[0].name], ["x"], to=1)]),
        helper.make_node("ReduceMean", ["x"], ["m"], axes=[1], keepdims=0),
        *change.get("nodes", [helper.make_node("Relu", ["m"], ["speech_probs"])]),
        helper.make_node("Identity", ["h"], ["hn"]),
        helper.make_node("Identity", ["c"], ["cn"]),
    ]
    outputs = [
        value("speech_probs", TensorProto.FLOAT, frames),
        value("hn", TensorProto.FLOAT, *change.get("state", (1, 1, 128))),
        value("cn", TensorProto.FLOAT, 1, 1, 128),
    ]
    if change.get("more"):
        inputs.append(value("sr", TensorProto.INT64, 1))
    model = network(nodes=nodes, inputs=inputs, outputs=outputs, extra=change.get("extra", []))
    del model.graph.initializer[0]
    return saved(path, model)


def piper(folder, **change):
    """A Piper voice."""
    inputs = [
        value("input", TensorProto.INT64, "B", "P"),
        value("input_lengths", TensorProto.INT64, "B"),
        value("scales", TensorProto.FLOAT, 3),
    ]
    nodes = [
        helper.make_node("Cast", ["input"], ["f"], to=1),
        helper.make_node("Unsqueeze", ["f", "axes"], ["output"]),
    ]
    extra = [numpy_helper.from_array(np.array([1, 2]), "axes")]
    outputs = [value("output", TensorProto.FLOAT, "B", 1, 1, "N")]
    model = network(nodes=nodes, inputs=inputs, outputs=outputs, extra=extra)
    del model.graph.initializer[0]
    saved(folder / "tiny.onnx", model)
    tree = {key: v for key, v in {**PIPER, **change}.items() if v is not None}
    (folder / "tiny.onnx.json").write_text(json.dumps(tree))
    return folder


def test_a_voice_of_piper_is_healthy(tmp_path):
    outcome = look(str(piper(tmp_path)))
    assert outcome["family"] == "piper"
    assert outcome["findings"] == []


def test_a_file_is_compared_with_the_family_of_its_folder(tmp_path):
    path = silero(tmp_path / SILERO)
    assert look(str(path))["family"] == "silero"
    assert look(str(path))["findings"] == []
    silero(path, name="audio")
    assert codes(path) == {"wrong-name": "error"}


def test_the_wrong_names(tmp_path):
    silero(tmp_path / SILERO, name="audio")
    findings = look(str(tmp_path))["findings"]
    assert [f["code"] for f in findings] == ["wrong-name", "wrong-name"]
    assert "'input' is missing" in findings[0]["what"]
    assert "['audio']" in findings[1]["what"]
    assert all("card" in f["remedy"] and f["where"] == SILERO for f in findings)


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        ({"kind": TensorProto.INT64}, "wrong-dtype", "int64, not float32"),
        ({"state": (1, 128)}, "wrong-rank", "2 dimensions, not 3"),
        ({"state": (1, 1, 64)}, "wrong-size", "64 where 128 is expected"),
        ({"more": True}, "wrong-name", "['sr']"),
    ],
)
def test_another_signature(tmp_path, change, code, words):
    silero(tmp_path / SILERO, **change)
    findings = look(str(tmp_path))["findings"]
    assert {f["code"] for f in findings} == {code}
    assert words in findings[0]["what"]
    assert "another family" in findings[0]["remedy"]


def test_a_fixed_length_where_it_changes(tmp_path):
    silero(tmp_path / SILERO, frames=50)
    findings = look(str(tmp_path))["findings"]
    assert {f["code"] for f in findings} == {"baked-length"}
    assert "a fixed length of 50 along frames" in findings[0]["what"]


def test_a_length_inside_that_only_running_finds(tmp_path):
    nodes = [  # a position for each frame, from a table of ten
        helper.make_node("Shape", ["m"], ["shape"]),
        helper.make_node("Squeeze", ["shape"], ["count"]),
        helper.make_node("Range", ["zero", "count", "one"], ["positions"]),
        helper.make_node("Gather", ["table", "positions"], ["p"]),
        helper.make_node("Add", ["m", "p"], ["speech_probs"]),
    ]
    extra = [
        numpy_helper.from_array(np.array(0), "zero"),
        numpy_helper.from_array(np.array(1), "one"),
        numpy_helper.from_array(weights(10), "table"),
    ]
    silero(tmp_path / SILERO, nodes=nodes, extra=extra)
    diagnosed(tmp_path, "baked-length", "typical length", "several lengths", SILERO)


def test_nan_from_valid_inputs(tmp_path):
    nodes = [
        helper.make_node("Sub", ["m", "huge"], ["a"]),
        helper.make_node("Sqrt", ["a"], ["speech_probs"]),
    ]
    extra = [numpy_helper.from_array(np.array([10], np.float32), "huge")]
    silero(tmp_path / SILERO, nodes=nodes, extra=extra)
    diagnosed(tmp_path, "nan-outputs", "speech_probs", "overflows", "float32")


@pytest.mark.parametrize("key", ["audio", "num_symbols", "espeak"])
def test_a_key_that_is_missing(tmp_path, key):
    piper(tmp_path, **{key: None})
    diagnosed(tmp_path, "settings-wrong", f"the key '{key}' is missing", "again")


def test_settings_that_are_no_json(tmp_path):
    piper(tmp_path)
    text = (tmp_path / "tiny.onnx.json").read_text()
    (tmp_path / "tiny.onnx.json").write_text(text[:-10])
    diagnosed(tmp_path, "settings-broken", "json.tool", "tiny.onnx.json")
    (tmp_path / "tiny.onnx.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    diagnosed(tmp_path, "settings-broken", "byte order mark")


def test_a_pointer_in_place_of_settings_is_told_once(tmp_path):
    piper(tmp_path)
    (tmp_path / "tiny.onnx.json").write_text(
        'version https://git-lfs.github.com/spec/v1\nsize 5\n"phoneme_id_map"'
    )
    diagnosed(tmp_path, "lfs-pointer", "tiny.onnx.json", "5 bytes")


def test_an_empty_folder(tmp_path):
    diagnosed(tmp_path, "empty-folder", "never began", "Download")


def test_a_folder_of_no_family(tmp_path):
    saved(tmp_path / "thing.onnx")
    (tmp_path / "README.md").write_text("x")
    diagnosed(tmp_path, "layout-unknown", "README.md, thing.onnx", "docs/models.md")


def test_a_model_that_is_one_folder_further_down(tmp_path):
    (tmp_path / "snapshot").mkdir()
    silero(tmp_path / "snapshot" / SILERO)
    diagnosed(tmp_path, "wrong-level", "snapshot", "silero", "Name that folder")


def test_a_model_at_its_publishers_own_depth(tmp_path):
    """As rhasspy/piper-voices lays its voices out."""
    place = tmp_path / "en/en_US/joe/medium"
    place.mkdir(parents=True)
    piper(place)
    diagnosed(tmp_path, "wrong-level", "further down: en/en_US/joe/medium", "piper", "Name that folder")
    other = tmp_path / "de/de_DE/eva/low"
    other.mkdir(parents=True)
    piper(other)
    told = "2 models are in folders further down: de/de_DE/eva/low, en/en_US/joe/medium"
    diagnosed(tmp_path, "wrong-level", told, "Name one of these")


@pytest.mark.parametrize("depth", ["", "en/en_US/joe/medium"])
@pytest.mark.parametrize("other", ["", "config.json"])
def test_a_voice_of_piper_without_its_settings(tmp_path, depth, other):
    place = tmp_path / depth
    place.mkdir(parents=True, exist_ok=True)
    piper(place)
    (place / "tiny.onnx").rename(place / "en_US-joe-medium.onnx")
    (place / "tiny.onnx.json").rename(place / "config.json")
    if not other:
        (place / "config.json").unlink()
    finding = diagnosed(tmp_path, "layout-incomplete", "lacks en_US-joe-medium.onnx.json", "beside it")
    assert finding["where"] == (depth or ".")
    assert ("config.json is not" in finding["why"]) == bool(other)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("[]", "settings-wrong", "no object with keys"),
        ('{"phoneme_id_map": 3}', "settings-wrong", "tiny.onnx.json is not the settings"),
        ("<!doctype html><html>", "web-page", "tiny.onnx.json"),
        ('"phoneme_id_map', "settings-broken", "json.tool"),
    ],
)
def test_settings_of_piper_that_are_something_else(tmp_path, text, code, words):
    piper(tmp_path)
    (tmp_path / "tiny.onnx.json").write_text(text)
    diagnosed(tmp_path, code, words)


@pytest.mark.parametrize("key", ["upsample_rates", "resblock", "sampling_rate", "num_mels"])
def test_a_key_that_a_vocoder_lacks(tmp_path, key):
    place = hifigans.folder(tmp_path / "vocoder", {k: v for k, v in hifigans.TINY.items() if k != key})
    checkpoint(place / "g_00000100", {"generator": hifigans.weights(hifigans.TINY)})
    diagnosed(place, "settings-wrong", f"the key {key} is missing")


def test_several_generators(tmp_path):
    place = hifigans.folder(tmp_path / "vocoder", hifigans.TINY)
    (place / "g_00000100").unlink()
    for name in ("generator_v1", "generator_v2"):
        checkpoint(place / name, {"generator": hifigans.weights(hifigans.TINY)})
    diagnosed(place, "layout-incomplete", "several generators", "generator_v1, generator_v2")


def test_a_folder_of_cosyvoice_is_no_campplus(tmp_path):
    (tmp_path / "cosyvoice2.yaml").write_text("sample_rate: 24000\n")
    saved(tmp_path / "campplus.onnx")
    diagnosed(tmp_path, "layout-incomplete", "CosyVoice", "a folder of its own")


def test_a_whisper_with_another_tokenizer(tmp_path):
    for name in ("model.bin", "vocabulary.txt"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text('{"added_tokens": []}')
    found = {f["code"]: f["what"] for f in look(str(tmp_path))["findings"]}
    assert "is not a Whisper tokenizer" in found["settings-wrong"]


def test_a_whisper_of_other_bytes(tmp_path):
    (tmp_path / "model.bin").write_bytes(b"?" * 100)
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "vocabulary.txt").write_text("a")
    tokens = [
        {"content": f"<|{name}|>", "id": i} for i, name in enumerate(["endoftext", "startoftranscript", "en"])
    ]
    (tmp_path / "tokenizer.json").write_text(json.dumps({"added_tokens": tokens}))
    diagnosed(tmp_path, "not-a-model", "model.bin")


def test_voices_that_are_not_in_their_folder(tmp_path):
    finding = near(tmp_path, "kokoro-v1.0.onnx", "vocab.json", "af_heart.bin", "bm_lewis.bin")
    assert finding["why"] == "af_heart.bin, bm_lewis.bin should be in the folder voices"


def test_voices_of_other_names(tmp_path):
    finding = near(tmp_path, "kokoro-v1.0.onnx", "vocab.json", "voices/mine.bin")
    assert "none is a voice of Kokoro" in finding["what"]
    assert "af_heart.bin" in finding["why"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig", "gb18030"])
def test_settings_in_another_encoding(tmp_path, encoding):
    piper(tmp_path)
    text = (tmp_path / "tiny.onnx.json").read_text().replace("tiny", "模型")
    text = json.dumps(json.loads(text), ensure_ascii=False)
    (tmp_path / "tiny.onnx.json").write_bytes(text.encode(encoding))
    finding = diagnosed(tmp_path, "settings-broken", "Save it again as UTF-8")
    assert "codec" not in finding["why"]
    assert "json.tool" not in finding["remedy"]


def near(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"x")
    found = [f for f in look(str(folder))["findings"] if f["code"] == "layout-incomplete"]
    assert len(found) == 1
    assert found[0]["severity"] == "error"
    return found[0]


@pytest.mark.parametrize(
    ("names", "family", "lacking", "origin"),
    [
        (["kokoro-v1.0.onnx", "voices/af_heart.bin"], "kokoro", "vocab.json", "onnx-community/Kokoro"),
        (["kokoro-v1.0.onnx", "vocab.json"], "kokoro", "voices/*.bin", "onnx-community/Kokoro"),
        (["hibari.onnx"], "hibari", "vocab.json", "hibari-tts"),
        (["en.onnx.json"], "piper", "*.onnx", "rhasspy/piper-voices"),
        (["encoder_model.ort", "decoder_model_merged.ort"], "moonshine", "tokenizer.bin", "moonshine-voice"),
        (
            ["model.bin", "config.json", "vocabulary.txt"],
            "whisper",
            "tokenizer.json",
            "Systran/faster-whisper",
        ),
        (["silero_vad.onnx"], "silero", SILERO, "silero-vad"),
        (["campplus_unknown.pt"], "campplus", "campplus", "iic/speech_campplus"),
    ],
)
def test_a_layout_that_lacks_something(tmp_path, names, family, lacking, origin):
    finding = near(tmp_path, *names)
    assert f"looks like a {family} model" in finding["what"]
    assert lacking in finding["what"]
    assert origin in finding["remedy"]


def test_a_name_in_other_letters(tmp_path):
    finding = near(tmp_path, "hibari.onnx", "Vocab.json")
    assert "Vocab.json is there, but names are compared letter by letter" in finding["why"]


def test_a_file_in_the_wrong_place(tmp_path):
    finding = near(tmp_path, "hibari.onnx", "data/vocab.json")
    assert "data/vocab.json is there, but not in its place" in finding["why"]


def test_downloads_that_are_not_finished(tmp_path):
    piper(tmp_path)
    (tmp_path / "other.onnx.crdownload").write_bytes(b"x")
    diagnosed(tmp_path, "unfinished-download", "lost its connection", "other.onnx.crdownload")


def test_texts_about_a_model_are_no_part_of_it(tmp_path):
    piper(tmp_path)
    (tmp_path / "README.md").write_text("Where you get an error, file not found, tell us.\n")
    (tmp_path / "LICENSE").write_text("Use is restricted to what is said below.\n")
    (tmp_path / "demo.html").write_text("<!doctype html><html>listen</html>")
    (tmp_path / "__init__.py").touch()
    (tmp_path / ".gitkeep").touch()
    assert codes(tmp_path) == {}
    (tmp_path / "tokens.txt").write_text("Access denied\n")
    diagnosed(tmp_path, "error-message", "tokens.txt")
    diagnosed(tmp_path / "README.md", "error-message")


def test_links_to_nothing(tmp_path):
    piper(tmp_path)
    (tmp_path / "blob").symlink_to(tmp_path / "gone")
    diagnosed(tmp_path, "broken-link", "Hugging Face", "cp -rL", "blob")


def test_links_that_go_in_circles_and_pipes_do_no_harm(tmp_path):
    piper(tmp_path)
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    os.mkfifo(tmp_path / "pipe.onnx")
    assert codes(tmp_path) == {}


def test_machine_code(tmp_path):
    piper(tmp_path)
    (tmp_path / "libops.so").write_bytes(b"\x7fELF")
    diagnosed(tmp_path, "native-library", "libops.so", "custom operators", severity="warning")


def test_shards_that_are_missing(tmp_path):
    safetensors(tmp_path / "model-00001-of-00002.safetensors")
    names = {f"layer{i}.weight": f"model-0000{i}-of-00002.safetensors" for i in (1, 2)}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
    found = look(str(tmp_path))["findings"]
    (missing,) = [f for f in found if f["code"] == "file-missing"]
    assert "model-00002-of-00002.safetensors" in missing["what"]
    assert "incomplete" in missing["why"]


def test_files_that_funasr_names(tmp_path):
    metas = {"init_param": "model.pt", "config": "config.yaml", "frontend_conf": {"cmvn_file": "am.mvn"}}
    (tmp_path / "configuration.json").write_text(json.dumps({"file_path_metas": metas}))
    (tmp_path / "config.yaml").write_text("model: Paraformer\n")
    found = {f["code"]: f["what"] for f in look(str(tmp_path))["findings"]}
    assert "am.mvn, model.pt" in found["file-missing"]


@pytest.mark.parametrize(
    ("name", "text", "word"),
    [
        ("config.json", '{"auto_map": {"AutoModel": "modeling_voice.Voice"}}', "modeling_voice.Voice"),
        ("tokenizer_config.json", '{"auto_map": {"AutoTokenizer": ["a.B", null]}}', "a.B"),
        ("config.json", '{"trust_remote_code": true}', "trust_remote_code"),
        ("config.yaml", "model: x\ntrust_remote_code: true\n", "trust_remote_code"),
    ],
)
def test_code_that_a_model_asks_for(tmp_path, name, text, word):
    (tmp_path / name).write_text(text)
    (tmp_path / "modeling_voice.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')")
    found = [f for f in look(str(tmp_path))["findings"] if f["code"] == "remote-code"]
    assert len(found) == 1
    assert found[0]["severity"] == "error"
    assert word in found[0]["what"]
    assert "trust_remote_code" in found[0]["why"]
    assert "ONNX" in found[0]["remedy"]
    assert not (tmp_path / "executed").exists()


def test_code_that_is_not_needed_is_a_note(tmp_path):
    piper(tmp_path)
    (tmp_path / "config.json").write_text('{"auto_map": {"AutoModel": "modeling.M"}}')
    diagnosed(tmp_path, "remote-code", "modeling.M", severity="note")


def test_yaml_that_makes_objects(tmp_path):
    piper(tmp_path)
    (tmp_path / "config.yaml").write_text(
        f"a: !!python/object/apply:os.system ['touch {tmp_path / 'executed'}']\n"
    )
    diagnosed(tmp_path, "yaml-runs-code", "!!python/object/apply:os.system", "Do not load it")
    assert not (tmp_path / "executed").exists()


def test_settings_of_cosyvoice_are_no_danger_and_said_to_name_classes(tmp_path):
    piper(tmp_path)
    (tmp_path / "cosyvoice2.yaml").write_text("llm: !new:cosyvoice.llm.llm.Qwen2LM\n    sos: 0\n")
    diagnosed(tmp_path, "yaml-names-code", "!new:cosyvoice.llm.llm.Qwen2LM", severity="note")


def test_a_broken_file_among_others_is_named_by_its_path(tmp_path):
    piper(tmp_path)
    (tmp_path / "onnx").mkdir()
    bad = weights(32, 32)
    bad[0, 0] = np.nan
    saved(tmp_path / "onnx" / "model.onnx", network(bad))
    assert diagnosed(tmp_path, "nan-weights")["where"] == "onnx/model.onnx: w"
