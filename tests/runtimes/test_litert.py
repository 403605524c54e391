"""LiteRT: any batch, several threads, one interpreter or several side by side."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from opsin.errors import ModelError
from opsin.images.drawing import draw_picture
from opsin.names import TWIN
from opsin.runtimes import litert
from opsin.runtimes.base import SideBySide
from opsin.runtimes.litert import LiteRTLanes, LiteRTNetwork, LiteRTRuntime


@pytest.fixture(scope="module")
def content(tiny_run):
    return (tiny_run / "model" / TWIN).read_bytes()


@pytest.fixture
def runtime(content):
    return LiteRTRuntime(content)


def images(count):
    return np.stack([draw_picture(number, 24, 24) for number in range(count)]).astype(np.float32)


def test_a_network_gives_logits_and_features_in_float32(runtime):
    outputs = runtime.run(images(5))
    assert runtime.input_shape == (24, 24, 3)
    assert outputs.logits.shape == (5, 3)
    assert outputs.features.shape[0] == 5
    assert outputs.features.shape[1] > 3
    assert outputs.logits.dtype == outputs.features.dtype == np.float32


def test_any_batch_size_follows_any_other_with_the_same_answers(runtime):
    expected = runtime.run(images(9)).logits
    for count in (1, 9, 2, 1, 7):
        assert np.allclose(runtime.run(images(count)).logits, expected[:count], atol=1e-5)


def test_an_answer_stays_as_it_was_when_the_next_is_computed(runtime):
    first = runtime.run(images(1))
    before = first.logits.copy()
    runtime.run(images(4)[3:])
    assert first.logits.tolist() == before.tolist()


def test_pictures_need_not_lie_in_one_piece_nor_be_floats(runtime):
    whole = images(4)
    expected = runtime.run(np.ascontiguousarray(whole[::-2])).logits
    assert runtime.run(whole[::-2]).logits.tolist() == expected.tolist()
    assert runtime.run(whole[::-2].astype(np.uint8)).logits.tolist() == expected.tolist()


def test_calls_at_the_same_time_do_not_mix_their_pictures(runtime):
    pictures = images(12)
    expected = [runtime.run(pictures[n : n + 1 + n % 3]).logits for n in range(12)]
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: runtime.run(pictures[n % 12 : n % 12 + 1 + n % 12 % 3]).logits, range(60)))
    assert all(np.allclose(answers[n], expected[n % 12], atol=1e-5) for n in range(60))


def test_after_pictures_of_a_wrong_size_the_next_are_answered_as_before(runtime):
    expected = runtime.run(images(2)).logits
    with pytest.raises((ValueError, RuntimeError)):
        runtime.run(np.zeros((2, 3, 3, 3), np.float32))
    assert runtime.run(images(2)).logits.tolist() == expected.tolist()


@pytest.mark.parametrize("broken", [b"", b"no network", bytes(1000)])
def test_what_is_no_network_is_a_model_error(broken):
    with pytest.raises(ModelError, match="Expected a LiteRT network"):
        LiteRTRuntime(broken)


def test_one_thread_gives_the_same_answers(content, runtime):
    assert np.allclose(
        LiteRTRuntime(content, threads=1).run(images(3)).logits, runtime.run(images(3)).logits, atol=1e-5
    )


def test_calls_side_by_side_give_the_same_answers_to_the_bit(runtime):
    pictures = images(12)
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda n: runtime.run_beside(pictures[n % 12][None]).logits, range(60)))
    assert [answer.tolist() for answer in answers] == [
        runtime.run(pictures[n % 12][None]).logits.tolist() for n in range(60)
    ]


def test_a_lane_is_opened_when_it_is_needed_and_used_again(content, monkeypatch):
    opened = []
    together = threading.Barrier(2)

    class Watched(LiteRTNetwork):
        def __init__(self, *arguments):
            opened.append(arguments[1])
            super().__init__(*arguments)

        def run(self, images):
            if len(images) == 2:
                together.wait(30)
            return super().run(images)

    monkeypatch.setattr(litert, "LiteRTNetwork", Watched)
    lanes = LiteRTLanes(content, threads=4)
    assert (lanes.count, opened) == (4, [])

    for _ in range(3):
        lanes.run(images(1))
    assert opened == [1]

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lanes.run, [images(2), images(2)]))
    assert opened == [1, 1]


def test_lanes_share_the_threads_and_the_memory_there_are(content, monkeypatch):
    monkeypatch.setattr(litert, "LANES_BYTES", 2 * 2 * len(content))

    assert LiteRTLanes(content, threads=8).count == 2
    assert LiteRTLanes(content, threads=1).count == 1
    monkeypatch.setattr(litert, "LANES_BYTES", 0)
    assert LiteRTLanes(content, threads=8).count == 1


def test_after_a_call_that_failed_its_lane_is_free_again(content):
    lanes = LiteRTLanes(content, threads=1)
    for _ in range(3):
        with pytest.raises((ValueError, RuntimeError)):
            lanes.run(np.zeros((2, 3, 3, 3), np.float32))
    assert lanes.run(images(2))[0].shape == (2, 3)


def test_a_twin_is_a_network_for_calls_side_by_side(runtime):
    assert isinstance(runtime, SideBySide)
