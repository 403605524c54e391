import numpy as np

from opsin.augmentation.draws import Draws, _output


def test_numbers_are_those_of_splitmix64():
    # The first outputs of the reference implementation (https://prng.di.unimi.it/splitmix64.c) for state 0.
    outputs = _output(np.zeros(1, dtype=np.uint64), np.arange(3))

    assert [hex(x) for x in outputs.tolist()] == [
        "0xe220a8397b1dcdaf",
        "0x6e789e6aa1b965f4",
        "0x6c45d188009454f",
    ]


def test_numbers_are_spread_evenly_between_their_bounds():
    numbers = Draws(0, 0, np.arange(100_000)).uniform("zoom", 2, 4)

    counts, _ = np.histogram(numbers, bins=20, range=(2, 4))

    # 5000 a bin, with a standard deviation of 69: five of those.
    assert np.abs(counts - 5000).max() < 345


def test_seeds_epochs_pictures_and_names_are_independent():
    pictures = np.arange(20_000)
    numbers = [
        Draws(0, 0, pictures).uniform("zoom"),
        Draws(1, 0, pictures).uniform("zoom"),
        Draws(0, 1, pictures).uniform("zoom"),
        Draws(0, 0, pictures + 1).uniform("zoom"),
        Draws(0, 0, pictures).uniform("rotation"),
    ]

    correlations = np.corrcoef(numbers) - np.eye(5)

    assert np.abs(correlations).max() < 5 / np.sqrt(20_000)


def test_a_picture_has_the_same_numbers_in_any_company():
    together = Draws(5, 2, np.array([3, 8, 1])).uniform("hue")

    alone = [Draws(5, 2, np.array([index])).uniform("hue")[0] for index in (3, 8, 1)]

    assert together.tolist() == alone


def test_whole_numbers_include_both_ends_equally_often():
    numbers = Draws(0, 0, np.arange(30_000)).integer("translation down", -1, 1)

    values, counts = np.unique(numbers, return_counts=True)

    assert values.tolist() == [-1, 0, 1]
    assert np.abs(counts - 10_000).max() < 5 * 82


def test_noise_takes_every_value_and_belongs_to_its_picture():
    draws = Draws(0, 0, np.array([4, 9]))

    noise = draws.noise("erasing noise", 1, (100, 101, 3))

    assert np.bincount(noise.ravel(), minlength=256).min() > 60
    np.testing.assert_array_equal(noise, Draws(0, 0, np.array([9])).noise("erasing noise", 0, (100, 101, 3)))
