"""ONNX Runtime's options under its own names."""

import onnxruntime as ort
import pytest

from sonorant.errors import SettingsError
from sonorant.networks.engines.options import (
    CUDA_ENTRIES,
    PARSERS,
    SHRINK_ARENA,
    OnnxRuntimeOptions,
    defaults,
    parse_options,
)


def test_defaults_reach_the_session():
    session = OnnxRuntimeOptions().session()
    assert session.intra_op_num_threads == defaults()["intra_op_num_threads"]
    assert session.log_severity_level == 3
    assert session.get_session_config_entry("session.intra_op.allow_spinning") == "0"
    assert OnnxRuntimeOptions(defaults()).values == defaults()


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("intra_op_num_threads", 3, 3),
        ("inter_op_num_threads", "2", 2),
        ("execution_mode", "ORT_PARALLEL", ort.ExecutionMode.ORT_PARALLEL),
        ("graph_optimization_level", "ORT_DISABLE_ALL", ort.GraphOptimizationLevel.ORT_DISABLE_ALL),
        ("enable_cpu_mem_arena", "false", False),
        ("enable_mem_pattern", False, False),
        ("enable_mem_reuse", 0, False),
        ("log_severity_level", 1, 1),
        ("use_deterministic_compute", "1", True),
    ],
)
def test_attributes_reach_the_session(name, value, expected):
    assert getattr(OnnxRuntimeOptions({name: value}).session(), name) == expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("session.intra_op.allow_spinning", True, "1"),
        ("session.intra_op.allow_spinning", "false", "0"),
        ("session.set_denormal_as_zero", "1", "1"),
        ("session.dynamic_block_base", 4, "4"),
        ("session.intra_op_thread_affinities", "1;2", "1;2"),
        ("optimization.disable_specified_optimizers", "ConstantFolding", "ConstantFolding"),
    ],
)
def test_entries_reach_the_session(name, value, expected):
    assert OnnxRuntimeOptions({name: value}).session().get_session_config_entry(name) == expected


def test_the_arena_is_shrunk_after_each_run_where_there_is_one():
    assert OnnxRuntimeOptions().run().get_run_config_entry(SHRINK_ARENA) == "cpu:0"
    for options in (
        OnnxRuntimeOptions({"enable_cpu_mem_arena": "0"}),
        OnnxRuntimeOptions({SHRINK_ARENA: ""}),
    ):
        with pytest.raises(RuntimeError, match=SHRINK_ARENA):
            options.run().get_run_config_entry(SHRINK_ARENA)


def test_an_unknown_name_is_answered_with_the_likely_one():
    with pytest.raises(SettingsError, match="Did you mean 'intra_op_num_threads'") as error:
        OnnxRuntimeOptions({"intra_op_threads": 2})
    assert all(name in str(error.value) for name in PARSERS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("intra_op_num_threads", "two"),
        ("intra_op_num_threads", 2.5),
        ("intra_op_num_threads", True),
        ("intra_op_num_threads", -1),
        ("log_severity_level", 9),
        ("enable_mem_pattern", "maybe"),
        ("graph_optimization_level", "all"),
        ("execution_mode", 1),
        ("session.intra_op.allow_spinning", "banana"),
    ],
)
def test_a_wrong_value_is_refused(name, value):
    with pytest.raises(SettingsError, match=f"{name} = {value!r}.*expected"):
        OnnxRuntimeOptions({name: value})


def test_the_command_lines_form():
    pairs = ["intra_op_num_threads = 2", "session.disable_prepacking=1"]
    assert parse_options(pairs) == {"intra_op_num_threads": "2", "session.disable_prepacking": "1"}
    with pytest.raises(SettingsError, match="not NAME=VALUE"):
        parse_options(["intra_op_num_threads"])
    with pytest.raises(SettingsError, match="'bogus' is not an ONNX Runtime option"):
        parse_options(["bogus=1"])


def test_what_is_float32_is_computed_in_float32_on_a_gpu_unless_somebody_chooses_otherwise():
    assert OnnxRuntimeOptions({}).cuda()["use_tf32"] == "0"
    chosen = OnnxRuntimeOptions({"use_tf32": True, "gpu_mem_limit": 1 << 30}).cuda()
    assert (chosen["use_tf32"], chosen["gpu_mem_limit"]) == ("1", str(1 << 30))
    assert set(chosen) <= set(CUDA_ENTRIES)


@pytest.mark.parametrize(
    ("options", "gpu", "expected"),
    [
        ({}, "", "cpu:0"),
        ({}, "1", "cpu:0;gpu:1"),
        ({"enable_cpu_mem_arena": False}, "0", "gpu:0"),
        ({SHRINK_ARENA: "gpu:0"}, "0", "gpu:0"),
    ],
)
def test_arenas_that_are_there_shrink_after_a_long_run(options, gpu, expected):
    run = OnnxRuntimeOptions(options).run(shrink=True, gpu=gpu)
    assert run.get_run_config_entry(SHRINK_ARENA) == expected
