"""JPEGs that are stored in many scans: each costs a few bytes of the file, and goes over all of the picture."""

import re

from PIL import Image

from opsin.errors import PictureError

MAX_SCANS = 100
"""Progressive JPEGs have about ten. libtiff has the same limit."""

_SCAN, _END = b"\xda", b"\xd9"
# Neither what stands for a 255 among the pixels, nor a marker without a length behind it.
_MARKER = re.compile(rb"\xff([^\x00\x01\xd0-\xd8\xff])", re.DOTALL)


def load(image: Image.Image) -> None:
    """Decode what Pillow has opened, unless it is a JPEG of so many scans that this may take hours.

    Raises:
        PictureError: it is.
    """
    # An MPO is a JPEG with others behind it. What is decoded already has no file any more.
    if image.format in ("JPEG", "MPO") and (stream := getattr(image, "fp", None)) is not None:
        stream.seek(0)
        content = stream.read()
        if content.count(b"\xff" + _SCAN) > MAX_SCANS and (scans := count_scans(content)) > MAX_SCANS:
            raise PictureError(f"it has {scans} scans; at most {MAX_SCANS} are read. Save it anew")
    image.load()


def count_scans(content: bytes) -> int:
    """Return how many scans a JPEG has: not those of a thumbnail in its header, nor of what stands behind its end.

    >>> count_scans(bytes.fromhex("ffd8 ffe10004ffda ffda0002 aaff00 ffda0002 aa ffd9 ffda0002"))
    2
    """
    scans, place = 0, 0
    while (marker := _MARKER.search(content, place)) and marker[1] != _END:
        scans += marker[1] == _SCAN
        place = marker.end() + int.from_bytes(content[marker.end() : marker.end() + 2])
    return scans
