"""The cost model on curves that are known."""

import math

import pytest

from sonorant.networks.cost import CostModel, Measured


def fitted(*points: tuple[int, float] | tuple[int, float, int]) -> CostModel:
    model = CostModel()
    model.fit([Measured(*point) for point in points])
    return model


def test_three_lengths_give_the_whole_curve():
    def seconds(n: int) -> float:
        return 0.01 + 2e-4 * n + 3e-7 * n * n

    model = fitted(*((n, seconds(n)) for n in (300, 10, 1200)))
    assert model.predict(700) == pytest.approx(seconds(700))


@pytest.mark.parametrize(
    ("points", "frames", "expected"),
    [
        ([(10, 0.11), (100, 0.2), (200, 0.25)], 300, 0.11 + 0.14 / 190 * 290),  # flattens: a line
        ([(100, 0.2)], 50, 0.1),  # one length: in proportion
        ([(100, 0.2), (200, 0.1)], 100, 0.05),  # noise: never cheaper for more
        ([(0, 0.2)], 50, 0.2),
        ([], 50, 0.0),
    ],
)
def test_what_the_points_do_not_say_is_not_invented(points, frames, expected):
    assert fitted(*points).predict(frames) == pytest.approx(expected)


def test_the_fastest_of_repeated_runs_counts():
    assert fitted((100, 9.0), (100, 0.2)).predict(100) == pytest.approx(0.2)


def test_rows_share_what_a_run_costs_whatever_its_length():
    assert fitted((10, 0.2), (110, 0.3)).predict(110, 4) == pytest.approx(0.19 + 4 * 0.11)
    assert fitted((10, 0.2), (110, 0.3), (110, 0.41, 4)).predict(110, 4) == pytest.approx(0.41)


def test_predictions_follow_what_is_measured_and_not_a_single_hiccup():
    model = fitted((10, 0.1), (110, 1.1))
    model.observe(110, 1, 100.0)
    assert model.predict(110) < 1.2
    for _ in range(60):
        model.observe(110, 1, 2.2)
    assert model.predict(110) == pytest.approx(2.2, rel=0.05)
    assert model.predict(10) == pytest.approx(0.2, rel=0.05)
    model.observe(10, 1, 0.0)
    assert math.isfinite(model.predict(10))
