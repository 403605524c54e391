import numpy as np
import pytest
from scipy.stats import fisher_exact

from opsin.evaluation.report import Report
from opsin.evaluation.slices import Members, by_number, by_value, find_slices, holm, is_worse, judge, p_value

RANDOM = np.random.default_rng(1)


def report_of(right, labels=None):
    labels = np.zeros(len(right), int) if labels is None else labels
    said = np.where(right, labels, 1 - labels)
    return Report.from_predictions(labels, np.eye(2)[said], [f"{i}.png" for i in range(len(right))], ["a", "b"])


@pytest.mark.parametrize(("n", "inside", "right"), [(20, 8, 12), (60, 11, 50), (200, 90, 3)])
def test_with_one_class_it_is_fishers_exact_test(n, inside, right):
    chosen, correct = np.arange(n) < inside, RANDOM.permutation(n) < right
    table = [
        [(chosen & correct).sum(), (chosen & ~correct).sum()],
        [(~chosen & correct).sum(), (~chosen & ~correct).sum()],
    ]
    assert p_value(correct, chosen, np.zeros(n, int)) == pytest.approx(fisher_exact(table).pvalue)


def test_with_several_classes_it_is_what_shuffling_within_each_class_gives():
    labels = np.repeat([0, 1], [30, 50])
    right, inside = RANDOM.random(80) < np.where(labels, 0.9, 0.5), RANDOM.random(80) < np.where(labels, 0.2, 0.6)
    right[inside & (RANDOM.random(80) < 0.4)] = False
    sums = []
    for _ in range(20_000):
        drawn = np.concatenate([RANDOM.permutation(inside[labels == label]) for label in (0, 1)])
        sums.append((right & drawn).sum())
    numbers, counts = np.unique(sums, return_counts=True)
    seen = counts[numbers == (right & inside).sum()]
    expected = counts[counts <= seen].sum() / len(sums) if len(seen) else 0.0
    assert p_value(right, inside, labels) == pytest.approx(expected, abs=0.012)


def test_a_slice_that_only_holds_more_of_a_hard_class_is_not_cried_out():
    labels = np.repeat([0, 1], 100)
    right = np.where(labels == 0, np.arange(200) % 10 > 0, np.arange(200) % 10 > 4)
    inside = labels == 1
    inside[::11] ^= True
    (found,) = judge(report_of(right, labels), [Members("light", "dim", inside)])
    assert found.accuracy.value < found.others.value - 0.2
    assert not is_worse(found)


def test_a_bad_slice_among_many_is_found_and_comes_first():
    values = np.array(["good", "bad", "ugly", "rare"], dtype=object)[np.minimum(np.arange(100) % 4, 3)]
    values[values == "rare"] = "good"
    values[:3] = "rare"
    right = np.where(values == "bad", np.arange(100) % 3 == 0, True)
    slices = judge(report_of(right), by_value("light", list(values)))
    assert [one.name for one in slices] == ["bad", "good", "ugly"]
    assert [is_worse(one) for one in slices] == [True, False, False]
    assert slices[0].accuracy.n + slices[0].others.n == 100
    assert slices[0].paths == tuple(f"{i}.png" for i in np.flatnonzero(~right))[:20]
    assert slices[1].paths == slices[2].paths == ()


def test_of_slices_made_by_chance_hardly_any_is_called_worse():
    cried = 0
    for _ in range(100):
        right = RANDOM.random(200) < 0.8
        members = [Members("chance", str(i), RANDOM.random(200) < 0.3) for i in range(12)]
        cried += any(is_worse(one) for one in judge(report_of(right), members))
    assert cried <= 10


def test_numbers_are_cut_into_parts_of_nearly_equal_size():
    parts = by_number("size", np.arange(1, 101, dtype=float), "pixels")
    assert [one.name for one in parts] == [
        "up to 25 pixels",
        "over 25 up to 50 pixels",
        "over 50 up to 75 pixels",
        "over 75 pixels",
    ]
    assert [one.inside.sum() for one in parts] == [25, 25, 25, 25]
    assert [one.inside.sum() for one in by_number("size", np.arange(40.0), "")] == [20, 20]
    assert by_number("size", np.full(50, 7.0), "") == []


def test_a_value_that_most_pictures_share_stays_together():
    parts = by_number("size", np.array([500.0] * 80 + list(range(20))), "pixels")
    assert [(one.name, one.inside.sum()) for one in parts] == [("up to 19 pixels", 20), ("over 19 pixels", 80)]


def test_slices_of_few_pictures_and_of_all_are_left_out():
    assert judge(report_of(np.ones(30, bool)), [Members("a", "few", np.arange(30) < 9)]) == ()
    assert judge(report_of(np.ones(30, bool)), [Members("a", "nearly all", np.arange(30) < 21)]) == ()
    assert by_value("column", [""] * 50) == []


def test_many_different_numbers_in_a_column_are_cut_and_names_are_not():
    assert len(by_value("age", [str(i) for i in range(100)])) == 4
    some = by_value("age", [str(i) if i % 2 else "" for i in range(200)])
    assert [one.inside.sum() for one in some] == [25] * 4
    assert not any(one.inside[::2].any() for one in some)
    assert [one.name for one in by_value("year", ["2023"] * 12 + ["2024"] * 15)] == ["2024", "2023"]
    assert by_value("name", [f"picture {i}" for i in range(100)]) == []


def test_holm_is_as_statsmodels_has_it():
    assert holm([0.01, 0.02, 0.03, 0.5]) == pytest.approx([0.04, 0.06, 0.06, 0.5])
    assert holm([]) == []


def test_groups_and_columns_of_a_csv_make_slices(pictures, tmp_path):
    from opsin.checks.survey import survey
    from opsin.data.dataset import ImageDataset

    root = pictures({"a": 40})
    lines = [f"a/{i}.png,{'ab'[i % 2]},{'g' if i < 20 else 'h'},{'flash' if i % 4 < 2 else 'none'}" for i in range(40)]
    (root / "data.csv").write_text("path,label,group,light\n" + "\n".join(lines) + "\n")
    dataset = ImageDataset.from_csv(root / "data.csv")
    # Half of the pictures, in another order.
    part = dataset.subset(np.arange(40)[::-1])
    right = np.array([int(name[2:-4]) < 20 for name in part.names])
    report = Report.from_predictions(
        part.labels, np.eye(2)[np.where(right, part.labels, 1 - part.labels)], part.names, "ab"
    )

    slices = find_slices(report, dataset, survey(dataset))

    assert {one.kind for one in slices} >= {"group", "light", "brightness"}
    worst = slices[0]
    assert (worst.kind, worst.name, worst.accuracy.value, worst.others.value) == ("group", "h", 0.0, 1.0)
    assert is_worse(worst)
