"""Who learns, who chooses, who judges."""

import hashlib
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opsin.data.parts import Candidates, assign_parts
from opsin.data.readers import NO_GROUP
from opsin.data.splits import grouped_split, require_fractions, stratified_split
from opsin.errors import DataError, UsageError


def names(count):
    return [f"cat/{number}.png" for number in range(count)]


def split(counts, *, val=0.15, test=0.15, seed=0):
    """Split classes of so many pictures; return for each class how many are in train, val and test."""
    labels = np.repeat(np.arange(len(counts)), counts)
    parts = stratified_split(labels, names(len(labels)), val=val, test=test, seed=seed)
    return [tuple(Counter(parts[labels == i])[part] for part in ("train", "val", "test")) for i in range(len(counts))]


def test_every_class_is_shared_out_in_the_same_proportions():
    assert split([1000, 100, 20]) == [(700, 150, 150), (70, 15, 15), (14, 3, 3)]


def test_other_fractions_are_kept():
    assert split([100], val=0.2, test=0.3) == [(50, 20, 30)]
    assert split([100], val=0.0, test=0.1) == [(90, 0, 10)]
    assert split([100], val=0.1, test=0.0) == [(90, 10, 0)]
    assert split([100], val=0.0, test=0.0) == [(100, 0, 0)]


def test_small_classes_always_have_one_to_learn_from_then_one_to_judge_by():
    assert split([1, 2, 3, 4]) == [(1, 0, 0), (1, 0, 1), (1, 1, 1), (2, 1, 1)]
    assert split([2, 3], test=0.0) == [(1, 1, 0), (2, 1, 0)]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.floats(0, 0.99), st.floats(0, 0.99), st.integers())
def test_every_class_keeps_a_picture_to_learn_from(counts, val, test, seed):
    if val + test >= 1:
        return
    assert all(train >= 1 for train, _, _ in split(counts, val=val, test=test, seed=seed))


def test_the_same_seed_gives_the_same_split_in_every_version():
    parts = stratified_split(np.zeros(8, int), names(8), val=0.25, test=0.25, seed=0)
    # Written down once: who has trained with a version must find the same held-out pictures in the next.
    assert parts.tolist() == ["train", "val", "train", "train", "val", "test", "train", "test"]


def test_another_seed_gives_another_split():
    labels = np.zeros(100, int)
    first, second = (stratified_split(labels, names(100), val=0.15, test=0.15, seed=seed) for seed in (0, 1))
    assert (first != second).sum() > 20


def test_the_order_of_the_pictures_plays_no_part():
    labels = np.arange(50) % 2
    parts = stratified_split(labels, names(50), val=0.2, test=0.2, seed=3)
    backwards = stratified_split(labels[::-1], names(50)[::-1], val=0.2, test=0.2, seed=3)
    assert parts.tolist() == backwards[::-1].tolist()


def test_a_picture_that_is_added_moves_hardly_any_other():
    before = stratified_split(np.zeros(1000, int), names(1000), val=0.15, test=0.15, seed=0)
    for count in (1001, 1002, 1003):
        after = stratified_split(np.zeros(count, int), names(count), val=0.15, test=0.15, seed=0)
        assert (before != after[:1000]).sum() <= 4


@pytest.mark.parametrize(("val", "test"), [(-0.1, 0.1), (0.5, 0.5), (1, 0), (0, 1.5), (float("nan"), 0.1)])
def test_fractions_that_leave_nothing_to_learn_from_are_refused(val, test):
    with pytest.raises(UsageError, match="together below 1; received"):
        require_fractions(val, test)


# By group


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 12)), min_size=3, max_size=60), st.integers(0, 99))
def test_a_group_is_never_in_two_parts_and_no_part_is_empty(pairs, seed):
    labels, groups = np.array([label for label, _ in pairs]), [f"g{group}" for _, group in pairs]
    if len(set(groups)) < 3:
        return
    parts = grouped_split(labels, groups, val=0.3, test=0.5, seed=seed)
    assert all(len({part for part, g in zip(parts, groups, strict=True) if g == group}) == 1 for group in set(groups))
    assert set(parts) == {"train", "val", "test"}


def many_groups(count=300, size=4):
    groups = np.repeat([f"g{number}" for number in range(count)], size)
    return np.arange(len(groups)) // (2 * size) % 3, groups


def test_groups_come_near_the_shares_class_by_class():
    labels, groups = many_groups()
    parts = grouped_split(labels, groups, val=0.1, test=0.3, seed=0)
    for label in range(3):
        shares = [float((parts[labels == label] == part).mean()) for part in ("train", "val", "test")]
        assert shares == pytest.approx([0.6, 0.1, 0.3], abs=0.02)


def test_groups_are_split_alike_with_one_seed_and_otherwise_with_another():
    labels, groups = many_groups()
    first, again, other = (grouped_split(labels, groups, val=0.15, test=0.15, seed=seed) for seed in (5, 5, 6))
    assert (first == again).all()
    assert (first != other).mean() > 0.2


def test_every_class_of_several_groups_has_one_to_learn_from():
    labels, groups = many_groups(count=18)
    for seed in range(20):
        parts = grouped_split(labels, groups, val=0.15, test=0.15, seed=seed)
        assert set(labels[parts == "train"]) == {0, 1, 2}


def test_groups_are_split_alike_in_every_version():
    random = np.random.default_rng(0)
    labels, groups = random.integers(0, 30, 3000), [f"g{number}" for number in random.integers(0, 700, 3000)]

    parts = np.concatenate([grouped_split(labels, groups, val=0.15, test=0.2, seed=seed) for seed in range(5)])

    assert Counter(parts) == {"train": 9754, "test": 3000, "val": 2246}
    assert hashlib.sha256(",".join(parts).encode()).hexdigest()[:16] == "943a7ae03bc61a7f"


def test_many_groups_of_many_classes_take_no_table_of_both():
    labels, groups = np.arange(4000) % 1000, [f"g{number}" for number in range(4000)]
    tracemalloc.start()
    try:
        grouped_split(labels, groups, val=0.15, test=0.15, seed=0)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert peak < 4000 * 1000 * 8 / 4


def test_parts_that_are_not_wanted_stay_empty():
    labels, groups = many_groups()
    assert set(grouped_split(labels, groups, val=0.2, test=0.0, seed=0)) == {"train", "val"}


def test_too_few_groups_are_counted():
    with pytest.raises(DataError, match="Expected at least 3 groups to split by; received 2"):
        grouped_split(np.array([0, 1, 0]), ["a", "b", "a"], val=0.15, test=0.15, seed=0)


# With copies


@pytest.mark.parametrize("seed", range(10))
def test_a_class_of_copies_is_learned_before_it_is_judged(seed):
    labels, together = np.repeat([0, 1, 2], [20, 3, 5]), np.array([*range(20), *[20] * 3, 23, 23, 25, 25, 25])
    candidates = Candidates(names(28), labels, [NO_GROUP] * 28, [None] * 28, together)

    parts, _ = assign_parts(candidates, val=0.3, test=0.3, seed=seed)

    assert all((parts[labels == label] == "train").any() for label in range(3))
    assert set(parts[labels == 1]) == {"train"}
    assert len(set(parts[23:25])) == len(set(parts[25:])) == 1


def test_of_a_class_of_copies_the_largest_group_is_learned():
    labels, together = np.repeat([0, 1], [20, 5]), np.array([*range(20), 20, 20, 22, 22, 22])
    candidates = Candidates(names(25), labels, [NO_GROUP] * 25, [None] * 25, together)
    found = [assign_parts(candidates, val=0.4, test=0.4, seed=seed)[0] for seed in range(20)]

    # Drawn without any in training, the three are learned and the two stay where they were.
    assert {tuple(parts[[20, 22]]) for parts in found} >= {("val", "train"), ("test", "train")}
    assert all("train" in parts[20:] for parts in found)


def test_a_part_that_the_data_gives_is_no_place_to_fetch_a_class_from():
    labels, given = np.array([0, 0, 0, 1, 1]), ["train", "train", "val", "val", "val"]
    candidates = Candidates(names(5), labels, [NO_GROUP] * 5, given, np.array([0, 1, 2, 3, 3]))

    parts, _ = assign_parts(candidates, val=0.5, test=0.1, seed=0)

    assert parts[2:].tolist() == ["test", "test", "test"]
