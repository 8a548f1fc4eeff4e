"""A ladder and its steps, by a clock that follows a script."""

import asyncio
import logging

import pytest

from sonorant.gateway.ladder import Ladder, Step


def climbed(pressures, *, up=3.0, down=10.0, tops=((0.8, 0.4), (0.8, 0.4), (0.9, 0.7))):
    """How many steps are taken at each second, and what was entered (+) and left (−)."""
    now, done, heights = [0.0], [], []

    def step(name, above, below):
        async def enter():
            done.append("+" + name)

        async def leave():
            done.append("-" + name)

        return Step(name=name, above=above, below=below, enter=enter, leave=leave)

    async def main():
        steps = [step("abc"[i], *bounds) for i, bounds in enumerate(tops)]
        ladder = Ladder("load", steps, up_seconds=up, down_seconds=down, clock=lambda: now[0])
        for pressure in pressures:
            await ladder.feel(pressure)
            heights.append(len(ladder.taken))
            now[0] += 1

    asyncio.run(main())
    return "".join(map(str, heights)), " ".join(done)


def test_each_step_takes_some_seconds_of_pressure_and_the_next_one_as_many_again():
    assert climbed([0.8] * 12) == ("000111122222", "+a +b")  # 0.8 is not enough for the third


def test_a_dip_begins_the_seconds_anew():
    assert climbed([0.8, 0.8, 0.8, 0.79, 0.8, 0.8, 0.8, 0.8])[0] == "00000001"


def test_steps_are_taken_back_later_than_they_were_taken_and_the_last_one_first():
    high, low = [0.9] * 8, [0.39] * 23
    assert climbed(high + low, up=3, down=10) == ("00011112" + "2" * 10 + "1" * 11 + "0" * 2, "+a +b -b -a")


def test_between_the_bounds_nothing_changes():
    assert climbed([0.8] * 4 + [0.41, 0.79] * 50)[0] == "0001" + "1" * 100


def test_pressure_for_a_moment_begins_the_quiet_seconds_anew():
    assert climbed([0.8] * 4 + [0.1] * 10 + [0.5] + [0.1] * 10 + [0.1])[0] == "0001" + "1" * 21 + "0"


def test_at_the_top_and_on_the_ground_nothing_happens():
    assert climbed([1.0] * 20, up=0)[0] == "123" + "3" * 17
    assert climbed([0.0] * 20, down=0)[0] == "0" * 20


def test_an_event_takes_a_step_at_once_and_each_step_is_one_line_in_the_log(caplog):
    async def main():
        steps = [Step(name="only", above=0.8, below=0.4)]
        ladder = Ladder("memory", steps, up_seconds=3, down_seconds=0, clock=lambda: 0.0)
        await ladder.climb("a run was out of memory")
        await ladder.climb("a run was out of memory")
        assert ladder.standing == {"only": True}
        await ladder.feel(0.1)
        assert ladder.standing == {"only": False}

    with caplog.at_level(logging.WARNING):
        asyncio.run(main())
    assert [record.getMessage() for record in caplog.records] == [
        "memory: step only is taken, as a run was out of memory",
        "memory: step only is taken back, as the pressure is 0.10",
    ]


@pytest.mark.parametrize("seconds", [0.0, 2.0])
def test_a_step_that_fails_has_been_taken_and_is_taken_back(seconds):
    async def fail():
        raise OSError("no")

    async def main():
        steps = [Step(name="only", above=0.8, below=0.4, enter=fail)]
        now = [0.0]
        ladder = Ladder("load", steps, up_seconds=0, down_seconds=seconds, clock=lambda: now[0])
        with pytest.raises(OSError, match="no"):
            await ladder.feel(1.0)
        assert ladder.taken == ("only",)
        await ladder.feel(0.0)
        now[0] += seconds
        await ladder.feel(0.0)
        assert ladder.taken == ()

    asyncio.run(main())
