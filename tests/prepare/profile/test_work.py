"""FLOPs and bytes against numbers computed by hand."""

import pytest

from sonorant.prepare.profile.work import Value, Work, work


def f(*shape: int) -> Value:
    return Value("float", shape)


def test_a_convolution_multiplies_each_output_with_the_weights_of_its_channel() -> None:
    # 8 outputs channels of 10 frames, each from 4 channels × 3 taps: 8·10·12 multiply-adds
    assert work("Conv", [f(1, 4, 12), f(8, 4, 3), f(8)], [f(1, 8, 10)]) == Work(
        2 * 8 * 10 * 12, 4 * (48 + 96 + 8 + 80)
    )


def test_groups_are_in_the_shape_of_the_weights() -> None:
    assert work("FusedConv", [f(1, 8, 12), f(8, 1, 3)], [f(1, 8, 10)]).flops == 2 * 80 * 3


def test_a_transposed_convolution_counts_from_its_inputs() -> None:
    # each of 4 × 5 inputs is multiplied with 6 channels × 8 taps
    assert work("ConvTranspose", [f(1, 4, 5), f(4, 6, 8)], [f(1, 6, 40)]).flops == 2 * 20 * 48


@pytest.mark.parametrize(
    ("op", "a", "y", "flops"),
    [
        ("MatMul", (2, 5, 7), (2, 5, 3), 2 * 30 * 7),
        ("FusedMatMul", (2, 7, 5), (2, 5, 3), 2 * 30 * 7),  # the first transposed
        ("Gemm", (7, 5), (5, 3), 2 * 15 * 7),  # transA
        ("Gemm", (5, 7), (5, 3), 2 * 15 * 7),
        ("MatMulInteger", (5, 7), (5, 3), 2 * 15 * 7),
    ],
)
def test_a_product(op: str, a: tuple[int, ...], y: tuple[int, ...], flops: int) -> None:
    assert work(op, [f(*a), f(7, 3)], [f(*y)]).flops == flops


def test_packed_weights_are_counted_where_their_shape_is_not_told() -> None:
    told = work("MatMul", [f(5, 7), f(7, 3)], [f(5, 3)])
    assert work("MatMul", [f(5, 7)], [f(5, 3)]) == told
    quantised = work("DynamicQuantizeMatMul", [f(5, 7), f(3)], [f(5, 3)])
    assert quantised == Work(2 * 15 * 7, 4 * (35 + 3 + 15) + 21)


def test_a_convolution_with_packed_weights_takes_them_from_the_file() -> None:
    inputs = [Value("uint8", (1, 4, 12)), f(), Value("uint8", ()), f(8), Value("int8", (8,))]
    outputs = [Value("uint8", (1, 8, 10))]
    assert work("QLinearConv", inputs, outputs).flops is None
    assert work("QLinearConv", inputs, outputs, (8, 4, 3)).flops == 2 * 80 * 12


@pytest.mark.parametrize(("op", "gates"), [("LSTM", 4), ("GRU", 3), ("DynamicQuantizeLSTM", 4)])
def test_a_recurrence_counts_each_step(op: str, gates: int) -> None:
    # 9 steps, 2 rows, both directions, 6 hidden from 5 inputs and 6 of its own
    found = work(op, [f(9, 2, 5)], [f(9, 2, 2, 6)])
    assert found.flops == 2 * 9 * 2 * 2 * gates * 6 * (5 + 6)


def test_what_is_elementwise_counts_its_outputs_and_what_reduces_its_inputs() -> None:
    assert work("Add", [f(2, 3), f(3)], [f(2, 3)]) == Work(6, 4 * 15)
    assert work("ReduceMean", [f(2, 3)], [f(2, 1)]).flops == 6
    assert work("Softmax", [f(2, 3)], [f(2, 3)]).flops == 30
    assert work("LayerNormalization", [f(2, 3), f(3), f(3)], [f(2, 3)]).flops == 48


def test_what_moves_data_computes_nothing_and_what_names_it_moves_nothing() -> None:
    assert work("Transpose", [f(2, 3)], [f(3, 2)]) == Work(0, 48)
    assert work("Reshape", [f(2, 3), Value("int64", (1,))], [f(6)]) == Work(0, 0)


def test_what_the_shapes_do_not_tell_is_not_guessed() -> None:
    assert work("Einsum", [f(2, 3), f(3, 4)], [f(2, 4)]).flops is None
