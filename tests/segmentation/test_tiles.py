"""Tiles: a network that gives back what it is given must give back the picture."""

import numpy as np
import pytest

from opsin.errors import ModelError, UsageError
from opsin.segmentation.tiles import Tiling, segment_in_tiles, tile_bands


def picture(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.8])
@pytest.mark.parametrize("size", [(37, 53), (8, 8), (3, 5), (9, 60), (64, 16), (1, 1)])
def test_the_identity_gives_the_picture_back(size, overlap):
    image = picture(*size)

    bands = list(tile_bands(image, lambda tiles: tiles, Tiling(8, 16, overlap, batch=3)))

    assert [band.top for band in bands] == np.cumsum([0, *[len(band.probabilities) for band in bands]])[:-1].tolist()
    joined = np.concatenate([band.probabilities for band in bands])
    assert joined.dtype == np.float32
    np.testing.assert_allclose(joined, image, atol=1e-4)


def test_weights_sum_to_one_and_the_middle_of_a_tile_counts_most():
    image = np.zeros((8, 24, 1), np.uint8)
    calls = iter([0.0, 1.0])

    def run(tiles):
        return np.full((1, 8, 16, 1), next(calls))

    row = next(tile_bands(image, run, Tiling(8, 16, 0.5, batch=1))).probabilities[0, :, 0]

    assert row[:8].tolist() == [0] * 8
    assert row[16:].tolist() == [1] * 8
    assert (np.diff(row[7:17]) > 0).all()
    # Half-way between the two tiles' middles, both count alike.
    assert row[8:16] + row[8:16][::-1] == pytest.approx(np.ones(8))


def test_tiles_cover_the_picture_evenly_and_end_with_it():
    tiling = Tiling(10, 10, 0.25)

    assert tiling.count(10, 10) == 1
    assert tiling.count(10, 11) == 2
    # 10, then 7 more with each: 31 needs four.
    assert (tiling.count(10, 31), tiling.count(31, 31)) == (4, 16)


def test_no_more_than_a_row_of_tiles_is_held():
    seen = []

    def run(tiles):
        seen.append(len(tiles))
        return np.zeros((*tiles.shape[:3], 2), np.float32)

    bands = tile_bands(picture(400, 64), run, Tiling(16, 16, 0.5, batch=4))
    first = next(bands)

    # One row of tiles has been run when the first rows are there, in batches of four.
    assert seen == [4, 3]
    assert first.probabilities.shape == (8, 64, 2)


def test_classes_are_those_of_the_highest_probability():
    image = picture(30, 41)
    expected = (image[:, :, 0] > 127).astype(np.uint8)

    def run(tiles):
        return np.stack([tiles[..., 0] <= 127, tiles[..., 0] > 127], axis=3).astype(np.float32)

    assert segment_in_tiles(image, run, Tiling(16, 8)).tolist() == expected.tolist()


def test_what_is_no_picture_no_network_or_no_tiling_is_refused():
    with pytest.raises(UsageError, match="Received float64"):
        next(tile_bands(np.zeros((4, 4, 3)), lambda tiles: tiles, Tiling(4, 4)))
    with pytest.raises(ModelError, match=r"Received \(1, 2, 2, 3\)"):
        next(tile_bands(picture(4, 4), lambda tiles: tiles[:, ::2, ::2], Tiling(4, 4)))
    with pytest.raises(UsageError, match=r"overlap from 0 to 0\.9"):
        Tiling(4, 4, overlap=1)
    with pytest.raises(UsageError, match="tiles of a pixel or more"):
        Tiling(0, 4)
