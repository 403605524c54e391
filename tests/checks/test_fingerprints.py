"""Copies of a picture are found whatever was done to them; pictures that only look alike are not."""

import io

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageOps

from opsin.data import fingerprints
from opsin.data.fingerprints import THUMBNAIL, groups_of, hashes, near_duplicates

COUNT = 60


def thumbnail(image):
    return np.asarray(image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR))


def encoded_again(image, **options):
    stream = io.BytesIO()
    image.save(stream, **options)
    return Image.open(stream)


def cropped(image, left, top, right, bottom):
    width, height = image.size
    return image.crop(
        (round(left * width), round(top * height), width - round(right * width), height - round(bottom * height))
    )


CHANGES = {
    "re-encoded": lambda image: encoded_again(image, format="JPEG", quality=40),
    "as a palette": lambda image: image.quantize(256, method=Image.Quantize.FASTOCTREE),
    "halved": lambda image: image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS),
    "stretched": lambda image: image.resize((200, 90)),
    "5 % cropped": lambda image: cropped(image, 0.025, 0.025, 0.025, 0.025),
    "10 % cropped all round": lambda image: cropped(image, 0.05, 0.05, 0.05, 0.05),
    "5 % cropped at a corner": lambda image: cropped(image, 0, 0.05, 0.05, 0),
    "brightened": lambda image: ImageEnhance.Brightness(image).enhance(1.1),
    "darkened": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "of less contrast": lambda image: ImageEnhance.Contrast(image).enhance(0.7),
    "in grey": lambda image: image.convert("L"),
}


@pytest.fixture(scope="module")
def textures(texture):
    return [texture(number, 160, 120) for number in range(COUNT)]


@pytest.mark.parametrize("kind", CHANGES)
def test_a_changed_copy_is_found_and_no_other_pair(kind, textures):
    copies = [CHANGES[kind](image) for image in textures]

    pairs = near_duplicates(np.stack([thumbnail(image) for image in [*textures, *copies]]))

    found = {tuple(pair) for pair in pairs.tolist()}
    wanted = {(row, row + COUNT) for row in range(COUNT)}
    assert found <= wanted
    assert len(found) >= 0.95 * COUNT


@pytest.mark.parametrize("change", [ImageOps.mirror, ImageOps.flip, lambda image: image.rotate(180), ImageOps.invert])
def test_a_mirrored_turned_or_inverted_picture_is_another(change, textures):
    copies = [change(image) for image in textures]

    assert not len(near_duplicates(np.stack([thumbnail(image) for image in [*textures, *copies]])))


def test_hundreds_of_different_textures_are_in_no_pair(texture):
    assert not len(near_duplicates(np.stack([thumbnail(texture(number, 64, 64)) for number in range(500)])))


def test_a_part_that_differs_tells_pictures_on_white_paper_apart():
    sheets = []
    for number in range(8):
        sheet = Image.new("RGB", (128, 128), "white")
        sheet.paste((0, 0, 0), (0, 80, 128, 128))
        sheet.paste((60, 60, 60), (8 + 14 * number, 20, 22 + 14 * number, 50))
        sheets.append(thumbnail(sheet))

    assert not len(near_duplicates(np.stack(sheets)))


def trousers(number):
    """Two legs of some cloth, 28 pixels high, as a shop would show them."""
    random = np.random.default_rng(number)
    half, foot, gap = random.uniform(45, 75), random.uniform(15, 60), random.uniform(80, 120)
    lean, wide = random.uniform(-20, 20, 2)
    legs = Image.new("1", (280, 280))
    for side in (-1, 1):
        end = 140 + lean + side * (half + wide)
        outline = [(140, 10), (140 + side * half, 10), (end, 270), (end - side * foot, 270), (140, gap)]
        ImageDraw.Draw(legs).polygon(outline, fill=1)
    cloth = Image.fromarray(random.integers(143, 207, (14, 14), np.uint8)).resize(legs.size, Image.Resampling.BICUBIC)
    return Image.composite(cloth, Image.new("L", legs.size), legs).resize((28, 28), Image.Resampling.BOX)


def test_of_pictures_that_look_alike_by_nature_only_copies_are_pairs():
    pictures = [trousers(number) for number in range(450)]
    copies = [encoded_again(pictures[number], format="JPEG", quality=90) for number in range(10)]

    pairs = near_duplicates(np.stack([thumbnail(image) for image in [*pictures, *copies]]))

    assert pairs.tolist() == [[number, 450 + number] for number in range(10)]


def test_flat_pictures_are_in_no_pair():
    levels = np.arange(0, 250, 10, dtype=np.uint8)
    flat = np.broadcast_to(levels[:, None, None], (len(levels), THUMBNAIL, THUMBNAIL)).copy()
    flat[::2, 3:9, 3:9] += 3

    assert near_duplicates(np.concatenate([flat, flat])).shape == (0, 2)


@pytest.mark.parametrize("count", [0, 1])
def test_none_or_one_picture_has_no_pair(count, textures):
    thumbnails = np.zeros((count, THUMBNAIL, THUMBNAIL), np.uint8)
    thumbnails[:, ::2] = 200

    pairs = near_duplicates(thumbnails)

    assert (pairs.shape, pairs.dtype) == ((0, 2), np.int64)


def test_pairs_are_sorted_without_repetition_the_smaller_row_first(textures):
    thumbnails = np.stack([thumbnail(image) for image in [*textures[:5], *textures[:5]]])

    assert near_duplicates(thumbnails).tolist() == [[row, row + 5] for row in range(5)]


def test_one_picture_a_thousand_times_over_is_one_group(textures):
    thumbnails = np.stack([thumbnail(textures[0])] * 1000 + [thumbnail(image) for image in textures[1:]])

    groups = groups_of(near_duplicates(thumbnails), len(thumbnails))

    assert groups.tolist() == [0] * 1000 + list(range(1000, len(thumbnails)))


def test_the_order_of_the_pictures_changes_nothing(textures):
    copies = [CHANGES["re-encoded"](image) for image in textures]
    thumbnails = np.stack([thumbnail(image) for image in [*textures, *copies]])
    order = np.random.default_rng(0).permutation(len(thumbnails))

    pairs = near_duplicates(thumbnails[order])

    assert {tuple(sorted(pair)) for pair in order[pairs].tolist()} == {
        tuple(p) for p in near_duplicates(thumbnails).tolist()
    }


def test_brightness_and_contrast_change_no_bit_of_a_hash():
    values = np.random.default_rng(0).integers(0, 100, (20, THUMBNAIL, THUMBNAIL)).astype(np.uint8)

    assert np.array_equal(hashes(values), hashes(2 * values + 20))


def test_an_older_numpy_counts_the_same_bits(monkeypatch):
    numbers = np.random.default_rng(0).integers(0, 2**64, 100, dtype=np.uint64)
    expected = [int(number).bit_count() for number in numbers]
    assert fingerprints._count_bits(numbers).tolist() == expected

    monkeypatch.delattr(np, "bitwise_count", raising=False)

    assert fingerprints._count_bits(numbers).tolist() == expected


def test_groups_are_what_pairs_connect_however_they_are_ordered():
    pairs = np.array([[7, 6], [2, 5], [6, 2], [9, 8]])

    assert groups_of(pairs, 10).tolist() == [0, 1, 2, 3, 4, 2, 2, 2, 8, 8]
    assert groups_of(pairs[::-1, ::-1], 10).tolist() == groups_of(pairs, 10).tolist()
    assert groups_of(np.empty((0, 2), np.int64), 3).tolist() == [0, 1, 2]


def test_a_long_chain_of_pairs_is_one_group():
    rows = np.arange(20_000)

    assert not groups_of(np.stack([rows[1:], rows[:-1]], axis=1)[::-1], len(rows)).any()
