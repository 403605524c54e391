"""Every way a picture can be stored gives the right pixels, or an error that says why."""

import io
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from opsin.errors import PictureError, UsageError
from opsin.images.decode import FORMATS, SUFFIXES, as_image, decode_image, open_picture, take_pillow

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)
ORIENTATION = 274


def encoded(picture, name, **options):
    stream = io.BytesIO()
    picture.save(stream, name, **options)
    return stream.getvalue()


def smooth(height, width):
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (height + width)], -1).astype(np.uint8)


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def turned(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    return exif


def png(width, height, depth, colour_type, rows, *chunks):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, depth, colour_type, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in body)


def with_tiff_tag(content, tag, value, new):
    place = content.index(struct.pack("<HHIH", tag, 3, 1, value)) + 8
    return content[:place] + struct.pack("<H", new) + content[place + 2 :]


@pytest.mark.parametrize("name", ["PNG", "BMP", "TIFF", "PPM"])
def test_a_lossless_picture_comes_back_bit_for_bit(name):
    image = noise(5, 7)
    decoded = decode_image(encoded(Image.fromarray(image), name))
    assert np.array_equal(decoded, image)
    assert decoded.dtype == np.uint8
    assert decoded.flags.c_contiguous
    assert decoded.flags.writeable


@pytest.mark.parametrize(("name", "options"), [("WEBP", {"lossless": True}), ("GIF", {})])
def test_flat_colours_survive_the_other_formats(name, options):
    picture = Image.new("RGB", (4, 3), RED)
    assert (decode_image(encoded(picture, name, **options)) == RED).all()


def test_an_avif_picture_is_read():
    pytest.importorskip("PIL._avif")
    decoded = decode_image(encoded(Image.new("RGB", (8, 8), (200, 100, 50)), "AVIF", quality=100))
    assert np.abs(decoded.astype(int) - (200, 100, 50)).max() <= 3


def test_a_path_and_its_content_give_the_same(tmp_path):
    file = tmp_path / "a.png"
    file.write_bytes(encoded(Image.fromarray(noise(3, 4)), "PNG"))
    assert np.array_equal(decode_image(file), decode_image(file.read_bytes()))
    assert np.array_equal(decode_image(str(file)), decode_image(file.read_bytes()))


# What a stored picture of 2 rows and 3 columns, 0 1 2 / 3 4 5, is upright (EXIF 2.32, 4.6.5.1.6).
UPRIGHT = {
    1: [[0, 1, 2], [3, 4, 5]],
    2: [[2, 1, 0], [5, 4, 3]],
    3: [[5, 4, 3], [2, 1, 0]],
    4: [[3, 4, 5], [0, 1, 2]],
    5: [[0, 3], [1, 4], [2, 5]],
    6: [[3, 0], [4, 1], [5, 2]],
    7: [[5, 2], [4, 1], [3, 0]],
    8: [[2, 5], [1, 4], [0, 3]],
}


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("name", ["PNG", "TIFF", "WEBP"])
def test_a_rotated_picture_is_read_upright(name, orientation):
    stored = np.arange(6, dtype=np.uint8).reshape(2, 3).repeat(3).reshape(2, 3, 3) * 40
    options = {"lossless": True} if name == "WEBP" else {}
    content = encoded(Image.fromarray(stored), name, exif=turned(orientation), **options)
    assert (decode_image(content)[:, :, 0] // 40).tolist() == UPRIGHT[orientation]


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_rotated_phone_photo_is_read_upright(orientation):
    blocks = np.arange(6, dtype=np.uint8).reshape(2, 3) * 40
    stored = Image.fromarray(blocks.repeat(16, 0).repeat(16, 1)).convert("RGB")
    decoded = decode_image(encoded(stored, "JPEG", quality=95, exif=turned(orientation)))
    assert np.rint(decoded[8::16, 8::16, 0] / 40).astype(int).tolist() == UPRIGHT[orientation]


def test_a_damaged_exif_block_neither_stops_the_picture_nor_warns():
    exif = turned(6).tobytes()
    content = encoded(Image.new("RGB", (4, 2), RED), "JPEG", exif=exif[:-8])
    code = (
        "import sys; from opsin.images.decode import decode_image; print(decode_image(sys.stdin.buffer.read()).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=True)
    assert (done.stdout.strip(), done.stderr) == (b"(2, 4, 3)", b"")


@pytest.mark.parametrize("name", ["PNG", "TIFF"])
def test_16_bit_grey_is_scaled_not_clipped(name):
    stored = Image.fromarray(np.array([[0, 257, 0x8000, 0x80FF, 65535]], np.uint16))
    assert decode_image(encoded(stored, name))[0, :, 0].tolist() == [0, 1, 128, 128, 255]


def test_16_bit_colours_keep_their_high_byte():
    rows = b"\0" + struct.pack(">6H", 0x1234, 0x56FF, 0x9A00, 0xFFFF, 0, 255)
    assert decode_image(png(2, 1, 16, 2, rows)).tolist() == [[[0x12, 0x56, 0x9A], [255, 0, 0]]]


def test_16_bit_grey_with_a_transparent_value_shows_the_background():
    rows = b"\0" + struct.pack(">2H", 500, 65535)
    content = png(2, 1, 16, 0, rows, (b"tRNS", struct.pack(">H", 500)))
    assert decode_image(content, background=GREEN).tolist() == [[list(GREEN), list(WHITE)]]


def test_a_16_bit_ppm_is_scaled():
    content = b"P5 2 1 65535 " + struct.pack(">2H", 0x8000, 65535)
    assert decode_image(content)[0, :, 0].tolist() == [128, 255]


def test_a_12_bit_tiff_fills_the_range():
    content = encoded(Image.fromarray(np.zeros((1, 4), np.uint16)), "TIFF")
    content = bytearray(with_tiff_tag(content, 258, 16, 12))
    start = Image.open(io.BytesIO(content)).tag_v2[273][0]
    content[start : start + 6] = bytes.fromhex("fff8000007ff")
    assert decode_image(bytes(content))[0, :, 0].tolist() == [255, 128, 0, 127]


@pytest.mark.parametrize(("dtype", "top"), [(np.uint8, 255), (np.uint16, 65535), (np.float32, 1.0)])
def test_a_tiff_whose_white_is_zero_is_not_a_negative(dtype, top):
    content = encoded(Image.fromarray(np.array([[0, top]], dtype)), "TIFF")
    assert decode_image(with_tiff_tag(content, 262, 1, 0))[0, :, 0].tolist() == [255, 0]


def test_floats_go_from_0_to_1_and_32_bit_integers_to_65535():
    floats = Image.fromarray(np.array([[0, 0.5, 1]], np.float32))
    integers = Image.fromarray(np.array([[0, 0x8000, 65535]], np.int32))
    assert decode_image(encoded(floats, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]
    assert decode_image(encoded(integers, "TIFF"))[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("value", [np.nan, np.inf, -0.5, 255.0])
def test_floats_outside_the_range_are_an_error_that_names_it(value):
    content = encoded(Image.fromarray(np.array([[0, value]], np.float32)), "TIFF")
    with pytest.raises(PictureError, match=r"float32 values go from .*; expected are values from 0 to 1"):
        decode_image(content)


def test_integers_outside_the_range_are_an_error():
    content = encoded(Image.fromarray(np.array([[-1, 70_000]], np.int32)), "TIFF")
    with pytest.raises(PictureError, match="from -1 to 70000"):
        decode_image(content)


def test_one_bit_pictures_are_black_and_white():
    content = encoded(Image.fromarray(np.array([[True, False]])), "PNG")
    assert decode_image(content).tolist() == [[[255] * 3, [0] * 3]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_the_background(mode):
    picture = Image.new("RGBA", (3, 1))
    for column, opacity in enumerate((0, 51, 255)):
        picture.putpixel((column, 0), (0, 0, 0, opacity))
    content = encoded(picture.convert(mode), "PNG")
    assert decode_image(content, background=(100, 200, 50)).tolist() == [[[100, 200, 50], [80, 160, 40], [0, 0, 0]]]


def test_what_is_transparent_is_white_by_default():
    assert (decode_image(encoded(Image.new("RGBA", (2, 2), (0, 0, 0, 0)), "PNG")) == 255).all()


@pytest.mark.parametrize("transparency", [0, b"\x00\xff"])
def test_a_transparent_palette_entry_shows_the_background(transparency):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    content = encoded(picture, "PNG", transparency=transparency)
    assert decode_image(content, background=GREEN).tolist() == [[list(GREEN), list(BLUE)]]


def test_a_transparent_colour_shows_the_background():
    picture = Image.new("RGB", (2, 1), RED)
    picture.putpixel((1, 0), BLUE)
    content = encoded(picture, "PNG", transparency=RED)
    assert decode_image(content, background=GREEN).tolist() == [[list(GREEN), list(BLUE)]]


def test_a_cmyk_jpeg_is_not_a_negative():
    # Adobe's programs, and Pillow, store the ink inverted.
    content = encoded(Image.new("CMYK", (8, 8), (0, 255, 255, 0)), "JPEG", quality=100)
    assert np.abs(decode_image(content)[4, 4].astype(int) - RED).max() <= 3


def test_a_lab_tiff_is_read():
    grey = encoded(Image.new("LAB", (1, 1), (255, 128, 128)), "TIFF")
    assert decode_image(grey).min() >= 253


@pytest.mark.parametrize("name", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_first_frame_is_read(name):
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    options = {"lossless": True} if name == "WEBP" else {}
    content = encoded(frames[0], name, save_all=True, append_images=frames[1:], **options)
    assert (decode_image(content) == RED).all()


def test_a_transparent_gif_shows_the_background():
    picture = Image.new("P", (2, 1))
    picture.putpalette([*RED, *BLUE])
    picture.putpixel((1, 0), 1)
    assert decode_image(encoded(picture, "GIF", transparency=0), background=GREEN).tolist() == [
        [list(GREEN), list(BLUE)]
    ]


def test_the_content_decides_not_the_name(tmp_path):
    file = tmp_path / "wrong.jpg"
    file.write_bytes(encoded(Image.new("RGB", (2, 2), RED), "PNG"))
    assert (decode_image(file) == RED).all()


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("kept", [0.3, 0.9])
def test_a_truncated_picture_is_an_error_never_grey(name, kept):
    content = encoded(Image.fromarray(noise(40, 40)), name)
    with pytest.raises(PictureError, match="damaged or cut off"):
        decode_image(content[: int(len(content) * kept)])


def test_a_jpeg_without_its_last_bytes_is_an_error():
    with pytest.raises(PictureError, match="damaged or cut off"):
        decode_image(encoded(Image.fromarray(noise(40, 40)), "JPEG")[:-20])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "the file is empty"),
        (b"hello, world", "none of the formats"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n", "none of the formats"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\x89PNG\r\n\x1a\n", "damaged or cut off"),
    ],
)
def test_what_is_no_picture_is_an_error_that_says_so(content, reason):
    with pytest.raises(PictureError, match=reason):
        decode_image(content)


def test_a_missing_file_and_a_folder_are_errors_that_name_the_path(tmp_path):
    with pytest.raises(PictureError, match="there is no such file") as missing:
        decode_image(tmp_path / "none.png")
    assert missing.value.path == str(tmp_path / "none.png")
    with pytest.raises(PictureError, match="it is a folder"):
        decode_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_an_error_and_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(PictureError, match="not a regular file"):
        decode_image(tmp_path / "pipe.png")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read anything")
def test_a_file_without_permission_is_an_error(tmp_path):
    file = tmp_path / "locked.png"
    file.touch(mode=0)
    with pytest.raises(PictureError, match="no permission"):
        decode_image(file)


def progressive(times):
    """Return a JPEG of several scans, the last of which stands there more often."""
    content = encoded(Image.fromarray(smooth(16, 24)), "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")
    return content[:last] + content[last:-2] * times + content[-2:]


def test_a_jpeg_of_thousands_of_scans_is_refused_for_each_goes_over_all_of_it():
    assert decode_image(progressive(50)).shape == (16, 24, 3)
    with pytest.raises(PictureError, match=r"it has 3\d\d\d scans; at most 100 are read"):
        decode_image(progressive(3000))
    with pytest.raises(PictureError, match="scans"):
        take_pillow(Image.open(io.BytesIO(progressive(3000))))


def test_what_looks_like_scans_in_a_header_or_behind_the_end_is_none():
    content = encoded(Image.fromarray(smooth(16, 24)), "JPEG")
    header = b"\xff\xe5" + struct.pack(">H", 2002) + b"\xff\xda" * 1000

    found = decode_image(content[:2] + header + content[2:] + b"\xff\xda" * 1000)

    assert np.array_equal(found, decode_image(content))


@pytest.mark.parametrize("name", ["PNG", "BMP"])
def test_a_huge_header_is_refused_before_memory_is_taken(name, recwarn):
    content = png(100_000, 100_000, 8, 2, b"")
    if name == "BMP":
        small = bytearray(encoded(Image.new("RGB", (1, 1)), "BMP"))
        small[18:26] = struct.pack("<ii", 100_000, 100_000)
        content = bytes(small)
    tracemalloc.start()
    try:
        with pytest.raises(PictureError, match="100000 x 100000 pixels; at most 100,000,000"):
            decode_image(content)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()
    assert not recwarn.list


def test_a_picture_over_pillows_own_limit_does_not_warn(monkeypatch, recwarn):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    assert decode_image(encoded(Image.new("RGB", (4, 4)), "PNG")).shape == (4, 4, 3)
    assert not recwarn.list


def test_the_limit_can_be_set():
    content = encoded(Image.new("RGB", (4, 3)), "PNG")
    assert decode_image(content, max_pixels=12).shape == (3, 4, 3)
    with pytest.raises(PictureError, match="at most 11 are read"):
        decode_image(content, max_pixels=11)


@pytest.mark.parametrize(
    ("least_size", "expected"),
    [
        (None, (96, 160)),
        ((96, 20), (96, 160)),
        ((48, 80), (48, 80)),
        ((49, 1), (96, 160)),
        ((1, 1), (12, 20)),
    ],
)
def test_a_jpeg_is_decoded_small_but_no_smaller_than_asked(least_size, expected):
    content = encoded(Image.fromarray(smooth(96, 160)), "JPEG")
    assert decode_image(content, least_size=least_size).shape[:2] == expected


def test_the_least_size_is_that_of_the_upright_picture():
    content = encoded(Image.fromarray(smooth(96, 160)), "JPEG", exif=turned(6))
    assert decode_image(content).shape == (160, 96, 3)
    assert decode_image(content, least_size=(80, 48)).shape == (80, 48, 3)
    assert decode_image(content, least_size=(48, 80)).shape == (160, 96, 3)


def test_other_formats_ignore_the_least_size():
    assert decode_image(encoded(Image.fromarray(noise(64, 64)), "PNG"), least_size=(1, 1)).shape == (
        64,
        64,
        3,
    )


@pytest.mark.parametrize(
    ("orientation", "region"),
    [
        (1, (0, 0, 12.5, 6.25)),
        (2, (0.5, 0, 13, 6.25)),
        (3, (0.5, 0.75, 13, 7)),
        (4, (0, 0.75, 12.5, 7)),
        (5, (0, 0, 6.25, 12.5)),
        (6, (0.75, 0, 7, 12.5)),
        (7, (0.75, 0.5, 7, 13)),
        (8, (0, 0.5, 6.25, 13)),
    ],
)
def test_a_small_decoding_says_which_part_of_its_edge_pixels_it_covers(orientation, region):
    content = encoded(Image.fromarray(smooth(50, 100)), "JPEG", exif=turned(orientation))
    assert open_picture(content, least_size=(1, 1)).region == region


def samples():
    image = Image.fromarray(noise(24, 20))
    yield "JPEG", encoded(image, "JPEG", exif=turned(6))
    yield "progressive JPEG", encoded(image, "JPEG", progressive=True)
    yield "PNG", encoded(image, "PNG", exif=turned(6))
    yield "APNG", encoded(image, "PNG", save_all=True, append_images=[image.rotate(90)])
    yield "palette", encoded(image.convert("P"), "PNG", transparency=3)
    yield "WebP", encoded(image.convert("RGBA"), "WEBP", exif=turned(6))
    yield "GIF", encoded(image, "GIF", save_all=True, append_images=[image.rotate(90)])
    yield "BMP", encoded(image, "BMP")
    yield "TIFF", encoded(image, "TIFF", exif=turned(6))
    yield "LZW", encoded(image, "TIFF", compression="tiff_lzw")
    yield "PPM", encoded(image, "PPM")


SAMPLES = dict(samples())


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # pytest forgets the filter that the first picture sets
@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(sorted(SAMPLES)),
    changes=st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=6),
    length=st.floats(0, 1),
)
def test_a_damaged_file_gives_a_picture_or_a_picture_error_and_nothing_else(name, changes, length):
    content = bytearray(SAMPLES[name])
    for place, value in changes:
        content[place % len(content)] = value
    content = bytes(content[: int(len(content) * length)])
    try:
        decoded = decode_image(content, max_pixels=100_000, least_size=(4, 4))
    except PictureError as error:
        assert error.reason  # noqa: PT017 (either outcome is right)
    else:
        assert decoded.dtype == np.uint8
        assert decoded.ndim == 3


def test_suffixes_are_those_of_the_formats():
    assert {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".avif", ".ppm"} <= SUFFIXES
    assert all(suffix == suffix.lower() and suffix.startswith(".") for suffix in SUFFIXES)
    assert all(suffix in SUFFIXES for entry in FORMATS.values() for suffix in entry.suffixes)


def test_an_array_becomes_a_picture():
    grey = np.array([[7]], np.uint8)
    assert as_image(grey).tolist() == as_image(grey[:, :, None]).tolist() == [[[7, 7, 7]]]
    assert as_image(np.array([[[0, 0, 0, 51]]], np.uint8)).tolist() == [[[204, 204, 204]]]
    image = noise(2, 3)
    assert as_image(image) is image


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((2, 2, 3), np.float32), r"Floats from 0 to 1 .* \* 255"),
        (np.zeros((2, 2, 3), np.int64), "Received int64"),
        (np.zeros((1, 2, 2, 3), np.uint8), r"Received the shape \(1, 2, 2, 3\)"),
        (np.zeros((3, 2, 2), np.uint8)[:, :, :0], "Received the shape"),
        (np.zeros((3, 20, 20), np.uint8), "Received the shape"),
        ([[0]], "Received list"),
    ],
)
def test_an_array_that_is_no_picture_is_an_error_that_says_what_to_do(array, message):
    with pytest.raises(UsageError, match=message):
        as_image(array)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_an_image_that_pillow_has_opened_is_what_its_file_is(orientation):
    content = encoded(Image.fromarray(smooth(5, 9)), "PNG", exif=turned(orientation))
    taken = take_pillow(Image.open(io.BytesIO(content)))
    assert np.array_equal(np.asarray(taken.image), decode_image(content))
    assert taken.region == (0, 0, *taken.image.size)


def test_an_image_that_cannot_be_read_to_its_end_or_is_too_large_or_empty_is_an_error():
    content = encoded(Image.fromarray(noise(40, 40)), "PNG")
    with pytest.raises(PictureError, match="damaged or cut off"):
        take_pillow(Image.open(io.BytesIO(content[: len(content) // 2])))
    with pytest.raises(PictureError, match="40 x 40 pixels; at most 1,599"):
        take_pillow(Image.open(io.BytesIO(content)), max_pixels=1599)
    with pytest.raises(PictureError, match="at least one"):
        take_pillow(Image.new("RGB", (0, 3)))
