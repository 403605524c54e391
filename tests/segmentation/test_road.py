"""Picture and mask on one road: to the network's size, and back to the picture."""

import numpy as np
import pytest
from PIL import Image

from opsin.errors import ModelError, PictureError, UsageError
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.orientation import LYING, as_stored, upright
from opsin.segmentation.road import SegmentationRecipe, read_upright_mask

TABLE = ClassTable(("sea", "land", "ice"))


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad"])
@pytest.mark.parametrize("shape", [(80, 40), (40, 80), (60, 60)])
def test_a_mask_lies_where_its_picture_lies(encode, fit, shape):
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] // 3 : 2 * shape[0] // 3, shape[1] // 2 :] = 1
    recipe = SegmentationRecipe((24, 24), fit=fit, color="gray")

    image, fitted = recipe.read(encode(mask * 200), encode(mask), TABLE)

    # More than half of a pixel is of the class that its centre is of, but for the two corners.
    differs = (image[:, :, 0] > 100) != (fitted == 1)
    assert (fitted == 1).sum() > 30
    assert differs[fitted != 255].sum() <= 2


def test_what_padding_adds_is_ignored():
    recipe = SegmentationRecipe((4, 4), fit="pad")

    assert recipe.fit_mask(np.ones((2, 4), np.uint8)).tolist() == [[255] * 4, [1] * 4, [1] * 4, [255] * 4]


def test_a_mask_of_the_networks_size_goes_there_and_back_unchanged():
    mask = np.random.default_rng(0).integers(0, 3, (7, 5), np.uint8)
    recipe = SegmentationRecipe((7, 5))

    assert recipe.fit_mask(mask).tolist() == mask.tolist()
    one_hot = np.eye(3)[mask]
    np.testing.assert_array_equal(recipe.back(one_hot, 7, 5), one_hot.astype(np.float32))
    assert recipe.classes_back(one_hot, 7, 5).tolist() == mask.tolist()


def test_between_the_networks_pixels_probabilities_are_interpolated():
    probabilities = np.array([[[0.0, 1.0], [1.0, 0.0]]])

    back = SegmentationRecipe((1, 2)).back(probabilities, 1, 4)

    # Four pixels over two: their centres are at 1/4 and 3/4 of each, and the outermost ones lie beyond its centre.
    assert back[0, :, 0].tolist() == [0, 0.25, 0.75, 1]
    assert back[0].sum(axis=1).tolist() == [1] * 4


def test_interpolation_is_that_of_pillow():
    probabilities = np.random.default_rng(1).random((6, 9), np.float32)

    back = SegmentationRecipe((6, 9)).back(probabilities[:, :, None], 17, 20)

    expected = Image.fromarray(probabilities).resize((20, 17), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(back[:, :, 0], np.asarray(expected), atol=1e-6)


def test_what_was_cut_off_is_ignored_and_what_was_added_is_left_out():
    probabilities = np.zeros((2, 2, 2))
    probabilities[:, 0, 0] = probabilities[:, 1, 1] = 1

    crop = SegmentationRecipe((2, 2), fit="crop")
    assert crop.classes_back(probabilities, 2, 4).tolist() == [[255, 0, 1, 255]] * 2
    assert crop.back(probabilities, 2, 4)[0, 0].tolist() == [0, 0]
    pad = SegmentationRecipe((2, 2), fit="pad")
    assert pad.classes_back(probabilities, 4, 1).tolist() == [[0]] * 4


def test_classes_come_back_the_same_in_bands_as_in_one(monkeypatch):
    probabilities = np.random.default_rng(2).random((5, 6, 3))
    recipe = SegmentationRecipe((5, 6))
    expected = recipe.back(probabilities, 31, 17).argmax(axis=2)

    monkeypatch.setattr("opsin.segmentation.road._BAND_BYTES", 500)

    assert recipe.classes_back(probabilities, 31, 17).tolist() == expected.tolist()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_masks_stand_upright_as_pillow_puts_pictures_and_go_back(encode, orientation):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = np.asarray(
        SegmentationRecipe((3, 2) if orientation in LYING else (2, 3), color="gray").preprocess.read(
            encode(stored, exif=exif)
        )
    )

    assert upright(stored, orientation).tolist() == image[:, :, 0].tolist()
    assert as_stored(upright(stored, orientation), orientation).tolist() == stored.tolist()


def test_the_mask_of_a_lying_photo_may_be_drawn_lying_or_upright(encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    photo = encode(np.zeros((2, 3, 3), np.uint8), "JPEG", exif=exif)
    lying = np.array([[0, 1, 2], [0, 0, 0]], np.uint8)

    for mask in (lying, upright(lying, 6)):
        assert read_upright_mask(photo, encode(mask), TABLE).tolist() == [[0, 0], [0, 1], [0, 2]]


def test_a_mask_of_another_size_is_an_error(encode, tmp_path):
    (tmp_path / "mask.png").write_bytes(encode(np.zeros((4, 4), np.uint8)))

    with pytest.raises(PictureError, match=r"mask.png.*the mask has 4 x 4 pixels, its picture 6 x 5"):
        SegmentationRecipe((2, 2)).read(encode(np.zeros((5, 6), np.uint8)), tmp_path / "mask.png", TABLE)


def test_a_recipe_comes_back_from_its_json():
    recipe = SegmentationRecipe((3, 4), "pad", "gray", "bicubic", (1, 2, 3))

    assert SegmentationRecipe.from_dict(recipe.to_dict()) == recipe
    assert recipe.shape == (3, 4, 1)
    with pytest.raises(ModelError, match="a recipe with size"):
        SegmentationRecipe.from_dict({"size": [3, 4], "depth": 2})
    with pytest.raises(UsageError, match="these as fit"):
        SegmentationRecipe((3, 4), fit="squash")
    with pytest.raises(UsageError, match="recipe's size"):
        recipe.back(np.zeros((4, 4, 2)), 9, 9)
