"""What runs need for themselves is kept within bounds."""

from sonorant.networks.engines.pool import Pool


def test_what_comes_back_is_taken_again_and_no_more_is_kept_than_may_be():
    made = iter(range(10))
    pool = Pool(lambda: next(made), 2)
    taken = [pool.take() for _ in range(4)]
    assert taken == [0, 1, 2, 3]
    for one in taken:
        pool.give(one)
    assert [pool.take() for _ in range(3)] == [1, 0, 4]


def test_what_is_released_is_made_anew_but_for_what_is_kept():
    made = iter(range(10))
    pool = Pool(lambda: next(made), 4)
    for one in [pool.take() for _ in range(3)]:
        pool.give(one)
    pool.release(keep=1)
    assert [pool.take(), pool.take()] == [0, 3]


def test_what_comes_back_to_one_that_is_closed_is_not_kept():
    made = iter(range(10))
    pool = Pool(lambda: next(made))
    one = pool.take()
    pool.close()
    pool.give(one)
    assert pool.take() == 1
