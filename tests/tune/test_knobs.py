"""What can be chosen of a model."""

from dataclasses import replace

from sonorant.settings import Settings
from sonorant.tasks import Task
from sonorant.tune.knobs import FRAMES, STREAMS, THREADS, WINDOW, space
from sonorant.tune.look import Choices, Look
from sonorant.tune.space import Candidate

OWN = {"published": 1.0}
VOICES = Choices("voice", ("a", "b"), 0.9, 2, {"slim+int8": 1.8, **OWN}, "published", torch=False)
LOOP = Choices("voice", ("step",), 0.07, 1, OWN, "published", torch=False, loop=True)
SMALL = Choices("vad", ("vad",), 0.03, 1, {"int8": 1.2, **OWN}, "int8", torch=False, loop=True)
LOOK = Look(
    "voice", Task.SPEECH, ("en",), (VOICES, LOOP, SMALL), batched=False, slots=2, identity="", artefacts={}
)


def knobs(look: Look, settings: Settings | None = None, cores: int = 2) -> dict:
    found = space(look, settings or Settings(), cores)
    return {
        knob.name: [str(found.turned(Candidate(), option)) for option in knob.options] for knob in found.knobs
    }


def test_what_computes_comes_first_then_threads_and_streams_together():
    found = knobs(LOOK)
    assert list(found) == [
        "a +1: engine and artefact", "threads and streams", "a +1: threads", "step: threads", "streams",
    ]  # fmt: skip
    # what is in use where nothing is set is not measured once more under its name
    assert found["a +1: engine and artefact"] == ["a +1: artefact slim+int8", "as it is"]
    assert found["threads and streams"] == [
        "a +1: threads 1", "streams 1", "streams 4, a +1: threads 1", "streams 1, a +1: threads 1",
    ]  # fmt: skip
    assert found["step: threads"] == ["as it is", "step: threads 2"]


def test_batches_are_turned_only_where_there_are_any():
    assert not {"batch", "window"} & knobs(LOOK).keys()
    found = knobs(replace(LOOK, batched=True))
    assert found["window"] == ["window ms 0", "window ms 5", "window ms 30"]
    assert found["batch"][0] == "batch of frames 1"
    assert found["batch"][-1] == "as it is"


def test_threads_of_a_library_are_those_of_onnx_runtime():
    found = space(replace(LOOK, choices=()), Settings(), 2)
    paths = {path for knob in found.knobs for option in knob.options for path, _ in option.settings}
    assert paths == {THREADS, STREAMS}


def test_torch_takes_no_threads():
    look = replace(LOOK, choices=(replace(VOICES, artefacts={"export": 1.0}, in_use="export", torch=True),))
    found = space(look, Settings(), 2)
    shapes, computing = found.knobs[0], found.knobs[-1]
    torch = found.turned(Candidate(), computing.options[0])
    assert torch.tree["networks"]["voice"]["a"] == {"engine": "torch"}
    assert found.turned(torch, shapes.options[0]) == torch


PREPARED = {"conv2d+openvino-bfloat16": 5.0, "int8-static": 3.0, "export": 1.0, "slim": 0.9}
PREPARED_LOOK = replace(
    LOOK,
    choices=(replace(VOICES, artefacts=PREPARED, in_use="conv2d+openvino-bfloat16", torch=True),),
)


def test_the_fastest_by_their_proofs_come_first_and_torch_last_of_all():
    found = knobs(PREPARED_LOOK)
    assert list(found) == [
        "a +1: engine and artefact", "threads and streams", "a +1: threads", "streams",
        "a +1: slower engines and artefacts",
    ]  # fmt: skip
    assert found["a +1: engine and artefact"] == ["as it is", "a +1: artefact int8-static"]
    assert found["a +1: slower engines and artefacts"] == [
        "a +1: artefact export", "a +1: artefact slim", "a +1: engine torch",
    ]  # fmt: skip


def test_what_is_named_in_the_settings_is_where_it_begins_and_the_others_have_their_names():
    named = {"artefact": "int8-static"}
    settings = Settings.model_validate({"networks": {"voice": {"a": named, "b": named}}})
    found = knobs(PREPARED_LOOK, settings)
    assert found["a +1: engine and artefact"] == ["a +1: artefact conv2d+openvino-bfloat16", "as it is"]


def test_every_candidate_is_a_setting():
    look = replace(LOOK, batched=True)
    found = space(look, Settings(), 8)
    for knob in found.knobs:
        for option in knob.options:
            candidate = found.turned(Candidate(), option)
            settings = Settings.model_validate(candidate.tree)
            for path, value in candidate.settings:
                leaf = settings.model_dump()
                for name in path:
                    leaf = leaf[name]
                assert leaf == value


def test_what_is_in_force_is_where_it_begins():
    settings = Settings.model_validate({"lanes": {"streams": 4, "max_frames": 1500, "window_ms": 5}})
    found = space(replace(LOOK, batched=True), settings, 2)
    assert (found.base[STREAMS], found.base[FRAMES], found.base[WINDOW]) == (4, 1500, 5.0)
    assert "as it is" in knobs(replace(LOOK, batched=True), settings)["batch"]
