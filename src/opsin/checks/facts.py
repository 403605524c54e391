"""What is noted down of one picture: enough for every check, so that no picture is read twice."""

import hashlib
import json
from dataclasses import asdict, dataclass, field

import numpy as np
from PIL import ExifTags, Image

from opsin.data.fingerprints import THUMBNAIL
from opsin.errors import PictureError
from opsin.images.decode import Picture, open_header, open_picture, take_opened

VERSION = 3
"""Of what is noted down; another version's notes are made again."""

SIDE = 128
"""The longer side, in pixels, at which a picture's quality is judged."""

_LEAST_SIZE = (2 * SIDE, 2 * SIDE)
"""Twice the size: a JPEG that is decoded just as large as needed is a little less sharp."""

_OF_ONE_FRAME = ("JPEG", "BMP", "PPM")

_EXIF_IS_IN = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")
"""Where Pillow finds an orientation, besides TIFF's own entries."""

_BORDER = 0.06
"""How wide the border is whose colour is noted down, as a fraction of a side."""


@dataclass(frozen=True)
class Facts:
    """One picture. Of one that cannot be read, `digest`, `bytes` and `error` are all there is.

    Args:
        digest: a hash of the file's content.
        bytes: the file's size.
        error: why it cannot be read; empty if it can.
        format: a name in `opsin.images.decode.FORMATS`.
        mode: Pillow's name for how pixels are stored; of 16-bit colours, of which it keeps 8 bits, `"RGB;16"` say.
        transparent: whether some of it lets a background through.
        width: upright, in pixels.
        height: upright, in pixels.
        frames: how many; more than one in an animation.
        orientation: EXIF's, 1 to 8.
        camera: EXIF's maker and model; empty if it does not say.
        mean: of the grey values, 0 to 255.
        deviation: of the grey values.
        sharpness: the deviation of the Laplacian as a fraction of `deviation`, at 128 pixels.
        border: mean red, green and blue of the outermost 6 %.
        thumbnail: uint8 (32, 32), grey, the whole picture with each side scaled on its own.
    """

    digest: str
    bytes: int
    error: str = ""
    format: str = ""
    mode: str = ""
    transparent: bool = False
    width: int = 0
    height: int = 0
    frames: int = 1
    orientation: int = 1
    camera: str = ""
    mean: float = 0.0
    deviation: float = 0.0
    sharpness: float = 0.0
    border: tuple[int, int, int] = (0, 0, 0)
    thumbnail: np.ndarray = field(default_factory=lambda: np.zeros((THUMBNAIL, THUMBNAIL), np.uint8), compare=False)

    def to_bytes(self) -> bytes:
        """Write it down: JSON, then the thumbnail."""
        values = {name: value for name, value in asdict(self).items() if name != "thumbnail"}
        return self.thumbnail.tobytes() + json.dumps(values).encode()

    @classmethod
    def from_bytes(cls, content: bytes) -> "Facts":
        """Take it back from what `to_bytes` gave."""
        size = THUMBNAIL * THUMBNAIL
        values = json.loads(content[size:])
        thumbnail = np.frombuffer(content[:size], np.uint8).reshape(THUMBNAIL, THUMBNAIL)
        return cls(**{**values, "border": tuple(values["border"])}, thumbnail=thumbnail)


def digest_of(content: bytes) -> str:
    """Return the hash that a file's content is known by."""
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def look(content: bytes) -> Facts:
    """Read one picture and note down what there is to know of it.

    Args:
        content: the whole file.
    """
    digest = digest_of(content)
    try:
        with open_header(content) as (name, image):
            header = _header(name, image)
            picture = take_opened(name, image, least_size=_LEAST_SIZE) if name in _OF_ONE_FRAME else None
        # Counting frames has moved the others on.
        picture = picture or open_picture(content, least_size=_LEAST_SIZE)
        pixels = _pixels(picture)
    except PictureError as error:
        return Facts(digest, len(content), error=error.reason)
    except MemoryError:
        return Facts(digest, len(content), error="there is not enough memory for it")
    if name != "JPEG":
        # Only a JPEG is decoded at less than its size; Pillow turns some of the others before their header is seen.
        header["width"], header["height"] = picture.image.size
    elif header["orientation"] in (5, 6, 7, 8):
        header["width"], header["height"] = header["height"], header["width"]
    return Facts(digest, len(content), **header, **pixels)


def _header(name: str, image: Image.Image) -> dict:
    orientation, maker, model = _exif(name, image)
    try:
        frames = int(getattr(image, "n_frames", 1))
    except Exception:  # noqa: BLE001 - counting frames reads the whole file, which may be damaged behind the first
        frames = 1
    return {
        "format": name,
        "mode": _mode(image),
        "transparent": image.has_transparency_data,
        "width": image.width,
        "height": image.height,
        "frames": frames,
        "orientation": int(orientation) if orientation in range(1, 9) else 1,
        # Models are often named with their maker in front.
        "camera": model if model.startswith(maker) else f"{maker} {model}".strip(),
    }


def _mode(image: Image.Image) -> str:
    stored = image.tile[0][3] if image.tile else None
    stored = stored[0] if isinstance(stored, tuple) and stored else stored
    is_narrowed = isinstance(stored, str) and ";16" in stored and image.mode in ("RGB", "RGBA", "LA")
    return f"{image.mode};16" if is_narrowed else image.mode


def _exif(name: str, image: Image.Image) -> tuple[object, str, str]:
    """Return the orientation, the camera's maker and its model, as far as they are told."""
    if name != "TIFF" and image.info.keys().isdisjoint(_EXIF_IS_IN):
        return 1, "", ""
    try:
        exif = image.getexif()
        orientation = exif.get(ExifTags.Base.Orientation, 1)
        maker, model = (_text(exif.get(tag)) for tag in (ExifTags.Base.Make, ExifTags.Base.Model))
    except Exception:  # noqa: BLE001 - a damaged EXIF block raises anything, and says nothing of the picture
        return 1, "", ""
    return orientation, maker, model


def _text(value: object) -> str:
    return "".join(char for char in value if char.isprintable()).strip()[:64] if isinstance(value, str) else ""


def _pixels(picture: Picture) -> dict:
    image, (left, top, right, bottom) = picture
    scale = min(1.0, SIDE / max(right - left, bottom - top))
    size = max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale))
    small = image.resize(size, Image.Resampling.BILINEAR, box=picture.region)
    gray = np.asarray(small.convert("L"), dtype=np.float32)
    deviation = float(gray.std())
    thumbnail = image.convert("L").resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR, box=picture.region)
    return {
        "mean": round(float(gray.mean()), 2),
        "deviation": round(deviation, 2),
        "sharpness": round(_laplacian(gray) / max(deviation, 1e-3), 4),
        "border": _border(np.asarray(small)),
        "thumbnail": np.asarray(thumbnail),
    }


def _laplacian(gray: np.ndarray) -> float:
    """Return the deviation of the Laplacian; 0 for a picture of less than 3 pixels a side."""
    if min(gray.shape) < 3:
        return 0.0
    inner = gray[1:-1, 1:-1]
    neighbours = gray[:-2, 1:-1] + gray[2:, 1:-1] + gray[1:-1, :-2] + gray[1:-1, 2:]
    return float((neighbours - 4 * inner).std())


def _border(image: np.ndarray) -> tuple[int, int, int]:
    height, width = image.shape[:2]
    rows, columns = max(1, round(height * _BORDER)), max(1, round(width * _BORDER))
    inside = np.zeros((height, width), dtype=bool)
    inside[rows:-rows, columns:-columns] = True
    red, green, blue = image[~inside].mean(axis=0).round().astype(int).tolist()
    return red, green, blue
