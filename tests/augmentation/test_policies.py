import dataclasses

import pytest

from opsin.augmentation import AUGMENTATIONS
from opsin.augmentation.policies import POLICIES, Policy, describe, get_policy
from opsin.errors import UsageError


def test_the_default_changes_nothing():
    assert Policy() == get_policy("none")
    assert Policy().active() == {}
    assert describe(Policy()) == "no changes"


def test_every_augmentation_is_a_setting_that_is_off_by_default_and_has_words():
    settings = {field.name: field for field in dataclasses.fields(Policy)}

    assert set(AUGMENTATIONS) == set(settings) - {"fill", "fill_value"}
    for name in AUGMENTATIONS:
        policy = Policy(**{name: 0.5})
        assert policy.active() == {name: 0.5}
        assert "0.5" in describe(policy)


@pytest.mark.parametrize(
    ("setting", "value", "expected"),
    [
        ("horizontal_flip", 1.5, "from 0 to 1"),
        ("rotation", -1, "from 0 to 180"),
        ("zoom", 1.0, "from 0 to 0.9"),
        ("crop", 0, "from 0.01 to 1"),
        ("erasing", float("nan"), "from 0 to 1"),
        ("hue", "10", "from 0 to 180"),
        ("mixup", True, "from 0 to 10"),
        ("fill_value", 256, "from 0 to 255"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(setting, value, expected):
    with pytest.raises(UsageError, match=f"Expected {setting} .*{expected}.* Received {value!r}"):
        Policy(**{setting: value})


def test_an_unknown_fill_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="Did you mean 'reflect'"):
        Policy(fill="reflection")


def test_an_unknown_policy_is_refused_with_the_closest():
    with pytest.raises(UsageError, match="Did you mean 'standard'"):
        get_policy("standart")


@pytest.mark.parametrize("name", ["screenshots", "characters"])
def test_text_is_never_mirrored(name):
    policy = POLICIES[name]

    assert (policy.horizontal_flip, policy.vertical_flip) == (0, 0)
    assert policy.fill != "reflect"


def test_a_policy_is_described_in_one_line():
    policy = Policy(horizontal_flip=0.5, translation=0.125, fill="constant", fill_value=9)

    assert describe(policy) == "shift up to 0.125 of each side, mirror left-right (chance 0.5); edges: constant 9"
