"""Windows cover every frame once, begin small, and end without a small rest."""

import pytest

from sonorant.networks.windows import spans


@pytest.mark.parametrize("frames", [*range(1, 400), 5000])
def test_windows_cover_all_frames_in_order(frames):
    found = list(spans(frames, 20, 120))
    assert found[0][0] == 0
    assert found[-1][1] == frames
    assert all(a[1] == b[0] for a, b in zip(found, found[1:], strict=False))
    sizes = [end - start for start, end in found]
    assert max(sizes) <= 180
    assert len(sizes) == 1 or min(sizes) > 9
    assert sizes[0] == 20 or frames <= 30


def test_they_grow_to_the_largest_and_stay_there():
    assert [end - start for start, end in spans(700, 20, 120)] == [20, 60, 120, 120, 120, 120, 140]


def test_a_slow_machine_keeps_to_the_first_size():
    assert [end - start for start, end in spans(100, 20, 5)] == [20, 20, 20, 20, 20]
