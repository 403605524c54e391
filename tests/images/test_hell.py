"""Pictures from hell: the right upright pixels, or a `PictureError` with a reason; and `look` takes whatever comes."""

import io
import os
import shutil
import struct
import warnings
import zlib
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from opsin.checks.facts import Facts, look
from opsin.checks.survey import survey
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, PictureError
from opsin.images.decode import decode_image

# pytest forgets the filter that the first picture sets.
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")

BLOCK = 16
BLOCKS = np.array(
    [
        [(255, 0, 0), (0, 255, 0), (0, 0, 255)],
        [(0, 0, 0), (255, 255, 255), (120, 120, 120)],
    ],
    np.uint8,
)
"""The colour of each 16×16 block of the picture that everything here stores: 2 rows, 3 columns."""

HAS_AVIF = features.check("avif")
ORIENTATION = 274


def blocks() -> Image.Image:
    return Image.fromarray(BLOCKS.repeat(BLOCK, 0).repeat(BLOCK, 1))


def centers(image: np.ndarray) -> np.ndarray:
    """int (rows, columns, 3), the pixel in the middle of each block."""
    return image[BLOCK // 2 :: BLOCK, BLOCK // 2 :: BLOCK].astype(int)


def encoded(image: Image.Image, name: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, name, **options)
    return stream.getvalue()


def read(content: bytes) -> np.ndarray | PictureError:
    """Decode; whatever comes of it, `look` has to say the same."""
    facts = look(content)
    try:
        decoded = decode_image(content)
    except PictureError as error:
        assert error.reason  # noqa: PT017 - either outcome is right
        assert facts.error
        return error
    assert (decoded.dtype, decoded.ndim, decoded.shape[2]) == (np.uint8, 3, 3)
    assert facts.error == ""
    assert (facts.height, facts.width) == decoded.shape[:2]
    assert facts.thumbnail.shape == (32, 32)
    assert Facts.from_bytes(facts.to_bytes()) == facts
    return decoded


# Every mode of Pillow × every format that is read.

WRITERS: dict[str, tuple[str, dict]] = {
    "JPEG": ("JPEG", {"quality": 95}),
    "progressive JPEG": ("JPEG", {"quality": 95, "progressive": True}),
    "PNG": ("PNG", {}),
    "WebP": ("WEBP", {"quality": 95}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "interlaced GIF": ("GIF", {"interlace": 1}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
    "LZW": ("TIFF", {"compression": "tiff_lzw"}),
    "deflate": ("TIFF", {"compression": "tiff_adobe_deflate"}),
    "packbits": ("TIFF", {"compression": "packbits"}),
    "JPEG in TIFF": ("TIFF", {"compression": "jpeg", "quality": 95}),
    "fax": ("TIFF", {"compression": "group4"}),
    "BigTIFF": ("TIFF", {"big_tiff": True}),
    "PPM": ("PPM", {}),
    **({"AVIF": ("AVIF", {"quality": 95})} if HAS_AVIF else {}),
}
LOSSY = ("JPEG", "progressive JPEG", "WebP", "JPEG in TIFF", "AVIF")
MODES = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
    "I",
    "F",
    "I;16",
)
MODES += ("I;16B", "I;16L")
EIGHT_BITS = ("JPEG", "progressive JPEG", "WebP", "lossless WebP", "GIF", "interlaced GIF", "AVIF", "JPEG in TIFF")
# What writes the others into a TIFF in these ways complains on stderr, from C, before it refuses.
ONLY = {"fax": ("1",), "JPEG in TIFF": ("L", "RGB", "CMYK", "YCbCr")}
NUMBERS = {"I": 65535, "I;16": 65535, "I;16B": 65535, "I;16L": 65535, "F": 1.0}


def in_mode(mode: str) -> Image.Image:
    if mode in NUMBERS:
        gray = np.asarray(blocks().convert("L"), dtype=float) / 255 * NUMBERS[mode]
        if mode in ("I", "F"):
            return Image.fromarray(gray.astype(np.int32 if mode == "I" else np.float32))
        endian = ">u2" if mode.endswith("B") else "<u2"
        return Image.frombytes(mode, blocks().size, gray.astype(endian).tobytes())
    if mode == "LAB":
        from PIL import ImageCms

        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        return ImageCms.profileToProfile(blocks(), *profiles, outputMode="LAB")
    if mode in ("P", "PA"):
        # The web's palette would have other colours.
        return blocks().quantize(8).convert(mode)
    between = {"La": "LA", "RGBa": "RGBA", "LA": "RGBA"}.get(mode)
    if between:
        return blocks().convert(between).convert(mode)
    return blocks().convert(mode)


def combinations() -> Iterator[tuple[str, str, bytes]]:
    """Every mode in every format that Pillow writes it in."""
    for mode in MODES:
        for writer, (name, options) in WRITERS.items():
            if mode in NUMBERS and writer in EIGHT_BITS:
                continue  # Pillow cuts numbers off at 255 when it writes these.
            if mode not in ONLY.get(writer, MODES):
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                try:
                    content = encoded(in_mode(mode), name, **options)
                except (OSError, ValueError, KeyError, SystemError):
                    continue  # Pillow does not write this mode in this format.
            yield mode, writer, content


COMBINATIONS = {(mode, writer): content for mode, writer, content in combinations()}


def expected(mode: str) -> np.ndarray:
    gray = centers(np.asarray(blocks().convert("L").convert("RGB")))
    if mode == "1":
        return centers(np.asarray(in_mode("1").convert("RGB")))
    return gray if mode in ("L", "LA", "La", *NUMBERS) else BLOCKS.astype(int)


def test_most_modes_can_be_written_in_some_format():
    assert {mode for mode, _ in COMBINATIONS} >= set(MODES) - {"HSV", "La", "RGBa", "PA", "I;16L"}
    assert len(COMBINATIONS) > 90


@pytest.mark.parametrize(("mode", "writer"), COMBINATIONS, ids=[f"{m} in {w}" for m, w in COMBINATIONS])
def test_every_mode_in_every_format_has_its_colours(mode, writer):
    content = COMBINATIONS[mode, writer]
    if content[:2] == b"Pf" or (mode, writer) == ("I;16B", "BigTIFF"):
        # Floats in a map of their own, and what Pillow writes but cannot read: an error, no guess.
        assert isinstance(read(content), PictureError)
        return

    decoded = read(content)

    assert decoded.shape == (2 * BLOCK, 3 * BLOCK, 3)
    if mode == "1":
        # Dithered: single pixels say little, their mean does.
        source = np.asarray(in_mode("1").convert("RGB")).astype(int)
        assert np.abs(decoded.astype(int) - source).mean() < (12 if writer in LOSSY else 0.01)
        return
    # 8 bits of L*a*b* have no room for the colours at the edge.
    allowed = 24 if mode == "LAB" else 10 if writer in LOSSY else 3 if mode == "YCbCr" else 1
    assert np.abs(centers(decoded) - expected(mode)).max() <= allowed


@pytest.mark.parametrize("writer", ["PNG", "lossless WebP", "TIFF", "LZW", *(["AVIF"] if HAS_AVIF else [])])
@pytest.mark.parametrize("opacity", [0, 128, 255])
def test_what_shines_through_is_white(writer, opacity):
    image = blocks().convert("RGBA")
    image.putalpha(opacity)
    name, options = WRITERS[writer]

    decoded = read(encoded(image, name, **options))

    share = opacity / 255
    assert np.abs(centers(decoded) - (BLOCKS * share + 255 * (1 - share))).max() <= (10 if writer == "AVIF" else 2)


# EXIF

UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: stored[::-1].swapaxes(0, 1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: stored[:, ::-1].swapaxes(0, 1),
}
TURNING = [writer for writer in WRITERS if writer not in ("GIF", "interlaced GIF", "BMP", "PPM", "fax")]


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("writer", TURNING)
def test_however_it_lies_it_is_read_upright_and_measured_so(writer, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    name, options = WRITERS[writer]
    content = encoded(blocks(), name, exif=exif, **options)

    decoded = read(content)

    assert np.abs(centers(decoded) - UPRIGHT[orientation](BLOCKS.astype(int))).max() <= (10 if writer in LOSSY else 0)
    # AVIF has a way of its own to say it, which the decoder below has followed already.
    assert look(content).orientation == (orientation if writer != "AVIF" else look(content).orientation)


@pytest.mark.parametrize("orientation", [0, 9, 65535])
def test_an_orientation_that_there_is_not_changes_nothing(orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    content = encoded(blocks(), "PNG", exif=exif)

    assert np.array_equal(read(content), np.asarray(blocks()))
    assert look(content).orientation == 1


def test_an_orientation_that_only_xmp_tells_is_told_by_the_facts_too():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    content = encoded(blocks(), "WEBP", lossless=True, xmp=xmp)

    assert read(content).shape == (3 * BLOCK, 2 * BLOCK, 3)
    assert look(content).orientation == 6


# Damage

SMALL = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 24, 3), np.uint8))
TURNED = Image.Exif()
TURNED[ORIENTATION], TURNED[271] = 6, "Maker"
SAMPLES = {
    "JPEG": encoded(SMALL, "JPEG", exif=TURNED),
    "progressive JPEG": encoded(SMALL, "JPEG", progressive=True),
    "PNG": encoded(SMALL, "PNG"),
    "PNG with EXIF": encoded(SMALL, "PNG", exif=TURNED),
    "palette": encoded(SMALL.convert("P"), "PNG", transparency=3),
    "APNG": encoded(SMALL, "PNG", save_all=True, append_images=[SMALL.rotate(90)]),
    "WebP": encoded(SMALL.convert("RGBA"), "WEBP", exif=TURNED),
    "lossless WebP": encoded(SMALL, "WEBP", lossless=True),
    "GIF": encoded(SMALL, "GIF", save_all=True, append_images=[SMALL.rotate(90)]),
    "BMP": encoded(SMALL, "BMP"),
    "TIFF": encoded(SMALL, "TIFF", exif=TURNED),
    "LZW": encoded(SMALL, "TIFF", compression="tiff_lzw"),
    "pages": encoded(SMALL, "TIFF", save_all=True, append_images=[SMALL.rotate(90)]),
    "PPM": encoded(SMALL, "PPM"),
    **({"AVIF": encoded(SMALL, "AVIF")} if HAS_AVIF else {}),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_cut_off_anywhere_it_is_an_error_or_nothing_was_lost(name):
    content = SAMPLES[name]
    whole = read(content)

    for length in sorted(
        {*np.linspace(0, len(content) - 1, 50).astype(int).tolist(), *range(len(content) - 12, len(content))}
    ):
        found = read(content[:length])
        assert isinstance(found, PictureError) or np.array_equal(found, whole), length


SMALLEST = SMALL.crop((0, 0, 6, 5))
WHOLE_FILES = {
    "JPEG": encoded(SMALLEST, "JPEG", exif=TURNED),
    "PNG": encoded(SMALLEST, "PNG"),
    "WebP": encoded(SMALLEST, "WEBP"),
    "lossless WebP": encoded(SMALLEST, "WEBP", lossless=True),
    "GIF": encoded(SMALLEST.quantize(8), "GIF"),
    "BMP": encoded(SMALLEST, "BMP"),
    "TIFF": encoded(SMALLEST, "TIFF", exif=TURNED),
    "LZW": encoded(SMALLEST, "TIFF", compression="tiff_lzw"),
    "PPM": encoded(SMALLEST, "PPM"),
}


@pytest.mark.parametrize("name", WHOLE_FILES)
def test_any_byte_may_be_another(name):
    content = WHOLE_FILES[name]
    whole = decode_image(content)
    for place in range(len(content)):
        for value in {0, 255, content[place] ^ 1, content[place] ^ 128} - {content[place]}:
            changed = content[:place] + bytes([value]) + content[place + 1 :]
            try:
                decoded = decode_image(changed, max_pixels=1_000_000)
            except PictureError as error:
                assert error.reason  # noqa: PT017 - either outcome is right
                continue
            assert (decoded.dtype, decoded.ndim) == (np.uint8, 3)
            assert look(changed).error == ""
            # Of these formats, it alone has checksums.
            assert name != "PNG" or np.array_equal(decoded, whole), place


def chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield kind, start and end of each chunk of a PNG."""
    start = 8
    while start < len(content):
        end = start + 12 + int.from_bytes(content[start : start + 4], "big")
        yield content[start + 4 : start + 8], start, end
        start = end


@pytest.mark.parametrize("name", ["PNG", "PNG with EXIF", "palette"])
def test_a_wrong_checksum_is_an_error_or_nothing_was_lost(name):
    content = SAMPLES[name]
    whole = read(content)
    for kind, _, end in chunks(content):
        found = read(content[: end - 1] + bytes([content[end - 1] ^ 255]) + content[end:])
        assert isinstance(found, PictureError) or np.array_equal(found, whole), kind


def test_pixels_that_their_checksum_denies_are_an_error():
    content = bytearray(SAMPLES["PNG"])
    ((start, end),) = ((start, end) for kind, start, end in chunks(bytes(content)) if kind == b"IDAT")
    content[(start + end) // 2] ^= 16

    assert isinstance(read(bytes(content)), PictureError)


def test_a_chunk_that_claims_to_be_enormous_takes_no_memory():
    content = bytearray(SAMPLES["PNG"])
    ((start, _),) = ((start, end) for kind, start, end in chunks(bytes(content)) if kind == b"IDAT")
    content[start : start + 4] = struct.pack(">I", 2**31 - 1)

    found = read(bytes(content))

    assert isinstance(found, PictureError) or np.array_equal(found, np.asarray(SMALL))


def enormous() -> Iterator[tuple[str, bytes]]:
    jpeg = bytearray(SAMPLES["JPEG"])
    place = jpeg.index(b"\xff\xc0") + 5
    jpeg[place : place + 4] = b"\xff\xff\xff\xff"
    yield "JPEG", bytes(jpeg)
    gif = bytearray(SAMPLES["GIF"])
    gif[6:10] = b"\xff\xff\xff\xff"
    yield "GIF", bytes(gif)
    tiff = SAMPLES["LZW"]
    for tag, value in ((256, 24), (257, 20)):
        for kind, code in (("H", 3), ("L", 4)):
            old, new = struct.pack(f"<HHI{kind}", tag, code, 1, value), struct.pack("<HHII", tag, 4, 1, 100_000)
            place = tiff.find(old)
            tiff = tiff if place < 0 else tiff[:place] + new + tiff[place + len(new) :]
    yield "TIFF", tiff
    webp = bytearray(SAMPLES["lossless WebP"])
    place = webp.index(b"VP8L") + 9
    webp[place : place + 4] = struct.pack("<I", 0x0FFFFFFF)
    yield "WebP", bytes(webp)
    yield "PPM", b"P6 100000 100000 255 " + bytes(99)
    yield "PBM", b"P4 100000 100000 " + bytes(99)
    header = struct.pack(">IIBBBBB", 100_000, 100_000, 1, 0, 0, 0, 0)
    yield (
        "PNG",
        b"\x89PNG\r\n\x1a\n"
        + b"".join(
            struct.pack(">I", len(part)) + kind + part + struct.pack(">I", zlib.crc32(kind + part))
            for kind, part in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(9))), (b"IEND", b""))
        ),
    )


ENORMOUS = dict(enormous())


@pytest.mark.parametrize("name", ENORMOUS)
def test_a_header_of_billions_of_pixels_is_refused(name):
    assert isinstance(read(ENORMOUS[name]), PictureError)


def test_a_hundred_million_pixels_out_of_a_few_bytes_are_not_decoded_in_vain():
    bomb = encoded(Image.new("1", (12_000, 10_000)), "PNG")

    assert "120" in str(read(bomb))
    assert len(bomb) < 100_000


def test_a_jpeg_of_thousands_of_scans_is_refused():
    content = encoded(SMALL, "JPEG", progressive=True)
    last = content.rindex(b"\xff\xda")

    assert "scans" in str(read(content[:last] + content[last:-2] * 3000))


# Many frames


def test_an_animation_of_five_thousand_frames_is_its_first():
    single = encoded(Image.new("P", (4, 4), 0), "GIF")
    start = single.index(b"\x2c")
    control = b"\x21\xf9\x04\0\x0a\0\0\0"
    content = single[:start] + (control + single[start:-1]) * 5000 + b";"

    assert read(content).shape == (4, 4, 3)
    assert look(content).frames == 5000


def test_pages_that_lead_back_to_the_first_have_an_end():
    content = bytearray(SAMPLES["pages"])
    first = struct.unpack("<I", content[4:8])[0]
    place = first + 2 + 12 * struct.unpack("<H", content[first : first + 2])[0]
    second = struct.unpack("<I", content[place : place + 4])[0]
    end = second + 2 + 12 * struct.unpack("<H", content[second : second + 2])[0]
    for target in (first, second):
        content[end : end + 4] = struct.pack("<I", target)

        assert np.array_equal(read(bytes(content)), np.asarray(SMALL))
        assert look(bytes(content)).frames == 2


def test_an_animation_that_is_damaged_behind_its_first_frame_still_has_that_one():
    content = SAMPLES["GIF"]

    assert np.array_equal(read(content[:-40]), read(content))


# Names and places

NAMES = [
    b"new\nline.png",
    b"tab\tand\rreturn.png",
    "right\u202eto left.png".encode(),
    b"not utf8 \xff\xfe.png",
    "\U0001f431 e\u0301 ſ.png".encode(),
    b"%s {0} $HOME.png",
    b"-rf.png",
    b" .png",
    b"x" * 246 + b".png",
]


@pytest.mark.skipif(os.name == "nt", reason="such names cannot be given there")
@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_a_picture_of_any_name_is_read_and_an_error_names_it(name, tmp_path):
    folder = tmp_path / "photos/cat"
    folder.mkdir(parents=True)
    path = folder / os.fsdecode(name)
    path.write_bytes(SAMPLES["PNG"])

    assert np.array_equal(decode_image(path), np.asarray(SMALL))
    dataset = ImageDataset.open(tmp_path / "photos")
    assert dataset.names == (f"cat/{path.name}",)
    assert survey(dataset, cache=tmp_path / "cache").facts[0].width == 24

    path.write_bytes(SAMPLES["PNG"][:-60])
    with pytest.raises(PictureError, match="damaged or cut off") as error:
        decode_image(path)
    assert repr(str(path)) in str(error.value)
    assert survey(dataset, cache=tmp_path / "cache").facts[0].error == error.value.reason


@pytest.fixture
def places(tmp_path):
    """A folder of one class with one picture in it."""
    (tmp_path / "photos/cat").mkdir(parents=True)
    (tmp_path / "photos/cat/0.png").write_bytes(SAMPLES["PNG"])
    return tmp_path / "photos"


@pytest.mark.skipif(os.name == "nt", reason="links need rights there")
def test_links_in_a_circle_are_no_picture_and_no_endless_walk(places):
    (places / "cat/self.png").symlink_to("self.png")
    (places / "cat/one.png").symlink_to("other.png")
    (places / "cat/other.png").symlink_to("one.png")
    (places / "cat/up").symlink_to(places, target_is_directory=True)
    (places / "cat/here").symlink_to(".", target_is_directory=True)

    dataset = ImageDataset.open(places)

    assert dataset.names == ("cat/0.png",)
    assert {one.path for one in dataset.skipped} == {
        "cat/self.png",
        "cat/one.png",
        "cat/other.png",
        "cat/up/",
        "cat/here/",
    }
    with pytest.raises(PictureError, match="cannot be opened"):
        decode_image(places / "cat/self.png")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_file_that_becomes_a_pipe_is_not_waited_for(places, tmp_path):
    dataset = ImageDataset.open(places)
    (places / "cat/0.png").unlink()
    os.mkfifo(places / "cat/0.png")

    (facts,) = survey(dataset, cache=tmp_path / "cache").facts

    assert "not a regular file" in facts.error


@pytest.mark.parametrize("change", ["removed", "a file", "a folder in the picture's place"])
def test_a_folder_that_changes_while_it_is_read_leaves_errors_only(change, places, tmp_path):
    for number in range(1, 200):
        (places / f"cat/{number}.png").write_bytes(SAMPLES["PNG"] + str(number).encode())
    dataset = ImageDataset.open(places)

    def disturb(done: int, total: int) -> None:
        if done == 0:
            return
        if change == "a folder in the picture's place":
            (places / "cat/199.png").unlink(missing_ok=True) if (places / "cat/199.png").is_file() else None
            (places / "cat/199.png").mkdir(exist_ok=True)
            return
        shutil.rmtree(places, ignore_errors=True)
        if change == "a file" and not places.exists():
            places.write_text("no folder")

    facts = survey(dataset, cache=tmp_path / "cache", progress=disturb).facts

    assert facts[0].error == ""
    assert len(facts) == 200
    assert all(one.error or one.width == 24 for one in facts)


def test_a_folder_that_is_removed_while_it_is_listed_is_a_data_error(places, monkeypatch):
    from opsin.data import walk

    found = walk.os.scandir

    def removing(path):
        shutil.rmtree(path, ignore_errors=True)
        return found(path)

    monkeypatch.setattr(walk.os, "scandir", removing)

    with pytest.raises(DataError):
        ImageDataset.open(places)


# Bounded fuzzing


@st.composite
def mutations(draw: st.DrawFn) -> bytes:
    """A sample with bytes altered, repeated, moved or taken from another format."""
    content = bytearray(SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))])
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(content) - 1)))
        length = draw(st.integers(0, 40))
        match draw(st.sampled_from(["alter", "number", "remove", "repeat", "graft"])):
            case "alter":
                content[place : place + 1] = draw(st.binary(min_size=1, max_size=1))
            case "number":
                edge = draw(st.sampled_from([0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
                content[place : place + 4] = struct.pack(draw(st.sampled_from(["<I", ">I"])), edge)
            case "remove":
                del content[place : place + length]
            case "repeat":
                content[place:place] = content[place : place + length]
            case "graft":
                other = SAMPLES[draw(st.sampled_from(sorted(SAMPLES)))]
                start = draw(st.integers(0, len(other) - 1))
                content[place : place + length] = other[start : start + length]
    return bytes(content)


@pytest.mark.slow
@settings(max_examples=3000, deadline=None)
@given(content=mutations())
def test_whatever_is_done_to_a_file_it_is_a_picture_or_a_picture_error(content):
    try:
        decoded = decode_image(content, max_pixels=4_000_000)
    except PictureError as error:
        assert error.reason  # noqa: PT017 - either outcome is right
        if "pixels" in error.reason:
            return  # `look` has a larger limit, and would take its time.
    else:
        assert decoded.dtype == np.uint8
    facts = look(content)
    assert Facts.from_bytes(facts.to_bytes()) == facts
