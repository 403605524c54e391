"""Mask files of every kind, two by three pixels large, and the classes they hold."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from opsin.errors import PictureError, UsageError
from opsin.images.decode import picture_orientation
from opsin.segmentation.classes import ClassTable
from opsin.segmentation.masks import encode_mask, open_mask, read_mask, write_mask

TWO = ClassTable(("sea", "land"))
GRAY = ClassTable(("sea", "land"), values=(0, 255))
COLORED = ClassTable(("sea", "land"), ((0, 0, 255), (0, 255, 0)), code="color", ignore_colors=((255, 255, 255),))
EXPECTED = [[0, 1, 1], [1, 0, 255]]


def test_numbers_are_classes_and_ignored_ones_become_255(encode):
    table = ClassTable(("sea", "land"), values=(1, 2), ignore=(3,))
    mask = np.array([[1, 2, 2], [2, 1, 3]], np.uint8)

    assert read_mask(encode(mask), table).tolist() == EXPECTED
    assert read_mask(encode(np.stack([mask] * 3, axis=2)), table).tolist() == EXPECTED


def test_of_a_palette_the_indices_count_and_not_the_colours(encode):
    image = Image.fromarray(np.array([[0, 1, 1], [1, 0, 1]], np.uint8))
    image.putpalette([200, 200, 200, 10, 10, 10])

    assert image.mode == "P"
    assert read_mask(encode(image), TWO).tolist() == [[0, 1, 1], [1, 0, 1]]


def test_black_and_white_of_one_bit_are_0_and_255(encode):
    image = Image.fromarray(np.array([[False, True, True], [True, False, False]]))

    assert image.mode == "1"
    assert read_mask(encode(image), GRAY).tolist() == [[0, 1, 1], [1, 0, 0]]


def test_sixteen_bits_hold_numbers_or_eight_bits_scaled(encode):
    numbers = np.array([[1000, 2000, 2000]], np.uint16)

    assert read_mask(encode(numbers), ClassTable(("sea", "land"), values=(1000, 2000))).tolist() == [[0, 1, 1]]
    assert read_mask(encode(np.array([[0, 65535, 65535]], np.uint16)), GRAY).tolist() == [[0, 1, 1]]


def png_of_16_bits(channels: np.ndarray) -> bytes:
    """Encode uint16 (H, W, c) as PNG specifies: Pillow writes no colours of 16 bits."""
    height, width, count = channels.shape
    header = struct.pack(">IIBBBBB", width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[count], 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    chunks = (
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def tiff_of_16_bits(channels: np.ndarray, order: str) -> bytes:
    """Encode uint16 (H, W, 3) as TIFF 6.0 specifies, uncompressed, in an order of bytes: `<` or `>`."""
    height, width, _ = channels.shape
    data = channels.astype(f"{order}u2").tobytes()
    # Width, height, bits (at their place), no compression, RGB, where the data is, channels, rows, bytes.
    bits_at = 8 + 2 + 9 * 12 + 4
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 3, bits_at), (259, 3, 1, 1), (262, 3, 1, 2)]
    tags += [(273, 4, 1, bits_at + 6), (277, 3, 1, 3), (278, 4, 1, height), (279, 4, 1, len(data))]
    body = b"".join(
        struct.pack(f"{order}HHI", *tag[:3])
        + (struct.pack(f"{order}HH", tag[3], 0) if tag[1:3] == (3, 1) else struct.pack(f"{order}I", tag[3]))
        for tag in tags
    )
    mark = b"II" if order == "<" else b"MM"
    header = mark + struct.pack(f"{order}HI", 42, 8) + struct.pack(f"{order}H", len(tags))
    return header + body + struct.pack(f"{order}I", 0) + struct.pack(f"{order}3H", 16, 16, 16) + data


@pytest.mark.parametrize("channels", [2, 3, 4])
def test_numbers_in_colours_of_16_bits_are_read_whole(channels):
    mask = np.repeat(np.array([[[0], [1], [1]], [[1], [0], [300]]], np.uint16), channels, axis=2)

    assert read_mask(png_of_16_bits(mask), ClassTable(("sea", "land"), ignore=(300,))).tolist() == EXPECTED


@pytest.mark.parametrize("order", ["<", ">"])
def test_numbers_in_a_tiff_of_16_bit_colours_are_read_in_both_orders_of_bytes(order):
    mask = np.repeat(np.array([[[0], [1], [1]], [[1], [0], [300]]], np.uint16), 3, axis=2)

    assert read_mask(tiff_of_16_bits(mask, order), ClassTable(("sea", "land"), ignore=(300,))).tolist() == EXPECTED


@pytest.mark.parametrize("scale", [257, 256])
def test_colours_of_8_bits_in_16_are_told_by_the_table(scale):
    colors = np.array([*COLORED.colors, (255, 255, 255)], np.uint16)[[[0, 1, 1], [1, 0, 2]]]

    assert read_mask(png_of_16_bits(scale * colors), COLORED).tolist() == EXPECTED


def test_colours_that_need_16_bits_are_refused():
    with pytest.raises(PictureError, match="16 bits a channel"):
        read_mask(png_of_16_bits(np.array([[[1, 2, 3]]], np.uint16)), COLORED)


def test_colours_are_told_by_the_table_however_the_file_stores_them(encode):
    colors = np.array([*COLORED.colors, (255, 255, 255)], np.uint8)[[[0, 1, 1], [1, 0, 2]]]
    image = Image.fromarray(colors)
    opaque = np.concatenate([colors, np.full((2, 3, 1), 7, np.uint8)], axis=2)

    assert read_mask(encode(image), COLORED).tolist() == EXPECTED
    assert read_mask(encode(image.quantize(8)), COLORED).tolist() == EXPECTED
    assert read_mask(encode(opaque), COLORED).tolist() == EXPECTED
    assert read_mask(encode(np.array([[0, 1]], np.uint8)), COLORED).tolist() == [[0, 1]]


@pytest.mark.parametrize(
    ("mask", "table", "says"),
    [
        (np.array([[0, 1, 7]], np.uint8), TWO, "1 of its pixels have the value 7, which is neither a class's"),
        (np.array([[0, 255, 128]], np.uint8), GRAY, "the value 128"),
        (np.array([[[0, 0, 255], [1, 2, 3]]], np.uint8), COLORED, "the colour #010203"),
        (np.array([[[0, 0, 255], [1, 2, 3]]], np.uint8), TWO, "--colors classes.csv"),
    ],
)
def test_a_value_that_is_no_class_is_said(encode, tmp_path, mask, table, says):
    (tmp_path / "mask.png").write_bytes(encode(mask))

    with pytest.raises(PictureError, match=f"mask.png.*{says}"):
        read_mask(tmp_path / "mask.png", table)


def test_a_float_mask_must_hold_whole_numbers(encode):
    assert read_mask(encode(np.array([[0, 1]], np.float32), "TIFF"), TWO).tolist() == [[0, 1]]
    with pytest.raises(PictureError, match="not whole"):
        read_mask(encode(np.array([[0, 0.5]], np.float32), "TIFF"), TWO)
    with pytest.raises(PictureError, match="go from nan to nan"):
        read_mask(encode(np.array([[0, np.nan]], np.float32), "TIFF"), TWO)


def disc(size: int = 64) -> np.ndarray:
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    return (y**2 + x**2 < (size / 3) ** 2).astype(np.uint8)


def test_a_mask_that_jpeg_has_changed_is_read_by_the_nearest_class_and_counted(encode):
    gray = disc() * np.uint8(255)
    jpeg = encode(gray, "JPEG", quality=75)
    changed = np.asarray(Image.open(io.BytesIO(jpeg)))

    for content in (jpeg, encode(changed)):
        found = open_mask(content, GRAY)
        assert found.moved == np.count_nonzero((changed != 0) & (changed != 255)) > 100
        assert (found.classes == disc()).mean() > 0.995
    with pytest.raises(PictureError, match=r"neither a class's .* save masks as PNG"):
        read_mask(encode(20 * disc(), "JPEG", quality=75), ClassTable(("sea", "land"), values=(0, 20)))


def test_colours_that_jpeg_has_changed_are_read_by_the_nearest(encode):
    colors = np.array(COLORED.colors, np.uint8)[disc()]
    found = open_mask(encode(colors, "JPEG", quality=90, subsampling=0), COLORED)

    assert found.moved > 100
    assert (found.classes == disc()).mean() > 0.99


def test_a_mask_with_an_orientation_of_its_own_is_put_upright(encode):
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encode(np.array([[0, 1, 1]], np.uint8), exif=exif)

    assert read_mask(content, TWO).tolist() == [[0], [1], [1]]


@pytest.mark.parametrize("orientation", [0, 9])
def test_an_orientation_that_exif_does_not_have_turns_nothing(encode, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(np.array([[0, 1, 1]], np.uint8), exif=exif)

    assert picture_orientation(content) == 1
    assert read_mask(content, TWO).tolist() == [[0, 1, 1]]


def test_a_predicted_mask_is_an_index_png_with_the_classes_colours(tmp_path):
    classes = np.array([[0, 1, 255]], np.uint8)
    write_mask(tmp_path / "mask.png", classes, COLORED)
    image = Image.open(tmp_path / "mask.png")

    assert image.mode == "P"
    assert np.asarray(image).tolist() == [[0, 1, 255]]
    assert np.asarray(image.convert("RGB")).tolist() == [[[0, 0, 255], [0, 255, 0], [255, 255, 255]]]
    assert read_mask(tmp_path / "mask.png", ClassTable(("a", "b"), ignore=(255,))).tolist() == [[0, 1, 255]]


def test_only_class_indices_are_written():
    with pytest.raises(UsageError, match="Received 2"):
        encode_mask(np.array([[0, 2]], np.uint8), TWO)
    with pytest.raises(UsageError, match="int64"):
        encode_mask(np.array([[0, 1]]), TWO)


def test_a_damaged_mask_says_so(encode, tmp_path):
    (tmp_path / "mask.png").write_bytes(encode(disc())[:-40])

    with pytest.raises(PictureError, match="damaged or cut off"):
        read_mask(tmp_path / "mask.png", TWO)
