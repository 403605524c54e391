"""Batches that form by themselves, and a queue that is bounded."""

import asyncio
import gc
import threading
import time
import weakref

import numpy as np
import pytest

from opsin.serving.batching import Batcher, Limits, best_batch
from opsin.serving.status import StatusError


class Gate:
    """Runs batches of one-pixel images, giving their values, while it is open."""

    def __init__(self):
        self.open = threading.Event()
        self.started = threading.Event()
        self.sizes = []

    def run(self, images):
        self.started.set()
        assert self.open.wait(10)
        self.sizes.append(len(images))
        return [float(image[0, 0, 0]) for image in images]


def pixel(value):
    return np.full((1, 1, 1), value, np.uint8)


async def started(gate):
    while not gate.started.is_set():
        await asyncio.sleep(0.001)


async def ask(batcher, value):
    with batcher.admitted(1):
        return await batcher.run(pixel(value))


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def make(gate):
    made = []

    def make(**limits):
        made.append(Batcher(gate.run, Limits(**limits)))
        return made[-1]

    yield make
    gate.open.set()
    for batcher in made:
        batcher.close()


def test_what_comes_while_a_batch_is_run_forms_the_next_one_and_each_gets_its_own_answer(gate, make):
    async def story():
        batcher = make(batch=4, delay=0.0)
        first = asyncio.create_task(ask(batcher, 0))
        await started(gate)
        others = [asyncio.create_task(ask(batcher, value)) for value in range(1, 7)]
        await asyncio.sleep(0)
        gate.open.set()
        return [await first, *[await one for one in others]]

    answers = asyncio.run(story())

    assert [answer.value for answer in answers] == [0, 1, 2, 3, 4, 5, 6]
    assert gate.sizes == [1, 4, 2]
    assert [answer.batch for answer in answers] == [1, 4, 4, 4, 4, 2, 2]


def test_a_batch_of_one_runs_each_alone(gate, make):
    async def story():
        batcher = make(batch=1)
        gate.open.set()
        return await asyncio.gather(*[ask(batcher, value) for value in range(5)])

    assert [answer.value for answer in asyncio.run(story())] == [0, 1, 2, 3, 4]
    assert gate.sizes == [1] * 5


def test_a_lone_picture_does_not_wait_and_one_of_several_waits_for_those_on_their_way(gate, make):
    gate.open.set()

    async def story():
        batcher = make(batch=4, delay=30.0)
        alone = await ask(batcher, 1)
        with batcher.admitted(2):
            first = asyncio.create_task(batcher.run(pixel(2)))
            await asyncio.sleep(0.01)
            second = await batcher.run(pixel(3))
            return alone, await first, second

    alone, first, second = asyncio.run(asyncio.wait_for(story(), 10))

    assert (alone.batch, first.batch, second.batch) == (1, 2, 2)


def test_a_full_queue_refuses_and_says_when_to_come_again(gate, make):
    async def story():
        batcher = make(queue=2)
        waiting = [asyncio.create_task(ask(batcher, value)) for value in range(2)]
        await started(gate)
        with pytest.raises(StatusError) as refused:
            await ask(batcher, 9)
        gate.open.set()
        answers = [(await one).value for one in waiting]
        return refused.value, answers, (await ask(batcher, 9)).value, batcher.pending

    refused, answers, later, pending = asyncio.run(story())

    assert (refused.code, refused.http, refused.headers) == ("RESOURCE_EXHAUSTED", 429, {"Retry-After": "1"})
    assert (answers, later, pending) == ([0, 1], 9, 0)


def test_more_pictures_than_the_queue_has_places_are_refused_for_good(make):
    with (
        pytest.raises(StatusError, match="at most 2 pictures in a request; received 3") as refused,
        make(queue=2).admitted(3),
    ):
        pass
    assert refused.value.http == 413


def test_what_is_given_up_is_not_run(gate, make):
    async def story():
        batcher = make(batch=1)
        first = asyncio.create_task(ask(batcher, 1))
        await started(gate)
        second = asyncio.create_task(ask(batcher, 2))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.sleep(0)
        gate.open.set()
        await first
        return await ask(batcher, 3)

    assert asyncio.run(story()).value == 3
    assert gate.sizes == [1, 1]


def test_a_batch_that_fails_fails_those_in_it_and_the_next_one_is_run():
    failures = [ValueError("broken")]

    def run(images):
        if failures:
            raise failures.pop()
        return [1] * len(images)

    async def story():
        batcher = Batcher(run, Limits(batch=1))
        with pytest.raises(ValueError, match="broken"):
            await ask(batcher, 1)
        answer = await ask(batcher, 1)
        batcher.close()
        return answer

    assert asyncio.run(story()).value == 1


def test_what_is_waiting_when_it_closes_is_answered_and_nothing_new_is_taken(gate, make):
    async def story():
        batcher = make(batch=1)
        waiting = [asyncio.create_task(ask(batcher, value)) for value in range(3)]
        await started(gate)
        batcher.close()
        with pytest.raises(StatusError) as refused:
            await ask(batcher, 9)
        gate.open.set()
        return [(await one).value for one in waiting], refused.value.http

    assert asyncio.run(story()) == ([0, 1, 2], 503)


@pytest.mark.parametrize(("fixed", "each", "best"), [(0.0, 0.002, 1), (0.02, 0.0, 8)])
def test_batches_are_as_large_as_is_worth_while(monkeypatch, fixed, each, best):
    now = [0.0]
    monkeypatch.setattr("opsin.serving.batching.time.perf_counter", lambda: now[0])

    def run(images):
        now[0] += fixed + each * len(images)

    assert best_batch(run, pixel(0), limit=8) == best


def test_what_else_a_machine_does_for_a_moment_is_not_taken_for_the_networks_time(monkeypatch):
    now, delays = [0.0], iter([0.0, 0.01, 0.0])
    monkeypatch.setattr("opsin.serving.batching.time.perf_counter", lambda: now[0])

    def run(images):
        now[0] += 0.002 * len(images) + next(delays, 0.0)

    assert best_batch(run, pixel(0), limit=8) == 1


def test_lanes_run_batches_side_by_side_and_a_lone_image_has_all_cores():
    together = threading.Barrier(2)
    alone = []

    def run(images):
        alone.append(len(images))
        return [float(image[0, 0, 0]) for image in images]

    def beside(images):
        together.wait(30)
        return [float(image[0, 0, 0]) for image in images]

    async def story():
        batcher = Batcher(run, Limits(batch=1), beside=beside, lanes=2)
        try:
            lone = await ask(batcher, 7)
            return [lone, *await asyncio.gather(*(ask(batcher, value) for value in range(2)))]
        finally:
            batcher.close()

    assert [answer.value for answer in asyncio.run(story())] == [7, 0, 1]
    assert alone == [1]


def test_an_image_does_not_wait_for_those_that_another_lane_is_running(gate):
    async def story():
        batcher = Batcher(gate.run, Limits(batch=4, delay=20.0), lanes=2)
        try:
            first = asyncio.create_task(ask(batcher, 1))
            await started(gate)
            gate.started.clear()
            second = asyncio.create_task(ask(batcher, 2))
            async with asyncio.timeout(10):
                await started(gate)
            gate.open.set()
            return [(await first).value, (await second).value]
        finally:
            gate.open.set()
            batcher.close()

    assert asyncio.run(story()) == [1, 2]


def test_a_batcher_that_has_ended_keeps_nothing_of_what_it_ran():
    class Servable:
        def __init__(self):
            self.batcher = Batcher(self.judge, Limits(), lanes=2)

        def judge(self, images):
            return list(images)

    servable = Servable()
    kept = weakref.ref(servable)
    gc.disable()
    try:
        servable.batcher.close()
        del servable
        until = time.monotonic() + 10
        while kept() is not None and time.monotonic() < until:
            time.sleep(0.01)

        assert kept() is None
    finally:
        gc.enable()
