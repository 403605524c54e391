import pytest

from opsin.training.config import SCHEDULES
from opsin.training.schedules import constant, cosine, one_cycle, rate_at


def test_warm_up_rises_linearly_and_then_the_schedule_begins_at_its_top():
    rates = [rate_at(step, steps=8, warmup_steps=4, schedule=cosine) for step in range(8)]

    assert rates[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert rates[5:] == sorted(rates[5:], reverse=True)


def test_without_warm_up_the_schedule_sees_all_steps():
    assert rate_at(0, steps=4, warmup_steps=0, schedule=cosine) == 1.0
    assert rate_at(2, steps=4, warmup_steps=0, schedule=cosine) == pytest.approx(0.5)


def test_one_cycle_has_its_highest_rate_near_a_quarter():
    rates = [one_cycle(step / 100) for step in range(101)]

    assert max(range(101), key=rates.__getitem__) == 23
    assert rates[0] == pytest.approx(0.2)
    assert rates[-1] == pytest.approx(0.07)


def test_constant_stays():
    assert {constant(progress / 10) for progress in range(11)} == {1.0}


def test_every_schedule_in_the_catalogue_is_a_fraction_of_the_highest_rate():
    from opsin.catalog import resolve

    for reference in SCHEDULES.values():
        assert all(0 <= resolve(reference)(progress / 50) <= 1 for progress in range(51))
