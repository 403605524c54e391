"""Sheets of what is inside a network: maps, filters, and the pictures that a channel likes."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from opsin.errors import PictureError
from opsin.explanation import COLORS
from opsin.explanation.channels import Excitement
from opsin.explanation.network import ImageNetwork
from opsin.explanation.overlay import color_table
from opsin.images.drawing import contact_sheet
from opsin.images.preprocess import Preprocess
from opsin.images.reading import read_images

MOST_MAPS = 128
MARKED = 12
"""Width of the mark where a channel is most excited, as a fraction (one of so many) of the thumbnail."""
_SIDE = 112
_THUMBNAIL = 180


def draw_maps(maps: np.ndarray, *, colors: str = COLORS[1]) -> np.ndarray:
    """Draw the maps of a layer's channels, the most excited first.

    Colours are scaled to the layer's highest value, so that quiet channels look quiet; 0 and below is the darkest.

    Args:
        maps: float (h, w, k). Of more than 128 channels the most excited are drawn.
        colors: one of `opsin.explanation.COLORS`.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.
    """
    highest = maps.max(axis=(0, 1))
    chosen = np.argsort(-highest, kind="stable")[:MOST_MAPS]
    top = max(float(highest.max()), 1e-12)
    table = color_table(colors)
    tiles = [_enlarged(table[np.rint(np.clip(maps[:, :, i] / top, 0, 1) * 255).astype(int)]) for i in chosen]
    return contact_sheet(tiles, columns=12, labels=[f"{i}: {highest[i]:.3g}" for i in chosen])


def draw_filters(kernel: np.ndarray) -> np.ndarray:
    """Draw filters as the pictures that excite them most: middle grey stands for a weight of 0.

    Args:
        kernel: float (h, w, c, filters); of 3 channels they are drawn in colours, of others in grey.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.
    """
    if kernel.shape[2] != 3:
        kernel = kernel.mean(axis=2, keepdims=True)
    largest = np.abs(kernel).max(axis=(0, 1, 2), keepdims=True)
    shades = np.rint(127.5 + 127.5 * kernel / np.where(largest > 0, largest, 1)).astype(np.uint8)
    tiles = [_enlarged(np.broadcast_to(shades[..., i], (*shades.shape[:2], 3))) for i in range(shades.shape[3])]
    columns = min(12, max(4, int(np.ceil(np.sqrt(2 * len(tiles))))))
    return contact_sheet(tiles, columns=columns, labels=[str(i) for i in range(len(tiles))])


def draw_channel(network: ImageNetwork, dream: np.ndarray, exciting: Sequence[Excitement]) -> np.ndarray:
    """Draw what a channel would like to see, and the pictures that excite it, with a frame around where they do.

    Args:
        network: whose channel it is.
        dream: uint8 (h, w, c), from `opsin.explanation.dreaming.maximize`.
        exciting: from `opsin.explanation.channels.most_exciting`; none: the dream alone.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255.
    """
    whole = _enlarged(np.broadcast_to(dream, (*dream.shape[:2], 3)), _THUMBNAIL)
    tiles, labels = [whole], ["what it would like best"]
    recipe = network.preprocess
    shown = Preprocess(recipe.height, recipe.width, fit=recipe.fit, background=recipe.background)
    for one, image in zip(exciting, read_images([one.path for one in exciting], shown), strict=True):
        if isinstance(image, PictureError):
            continue
        tiles.append(_framed(_enlarged(image, _THUMBNAIL), one.row, one.column))
        labels.append(f"{one.value:.3g}: {one.path.rpartition('/')[2]}")
    return contact_sheet(tiles, columns=5, labels=labels)


def _framed(image: np.ndarray, row: float, column: float) -> np.ndarray:
    """Draw a square of two colours around a place, seen on any picture."""
    framed = image.copy()
    height, width = image.shape[:2]
    half = max(4, max(height, width) // MARKED)
    for inset, color in ((0, (20, 20, 20)), (1, (255, 220, 60)), (2, (255, 220, 60)), (3, (20, 20, 20))):
        top, bottom = (round(row * height) + sign * (half - inset) for sign in (-1, 1))
        left, right = (round(column * width) + sign * (half - inset) for sign in (-1, 1))
        top, left = max(top, inset), max(left, inset)
        bottom, right = min(bottom, height - 1 - inset), min(right, width - 1 - inset)
        framed[[top, bottom], left : right + 1] = color
        framed[top : bottom + 1, [left, right]] = color
    return framed


def _enlarged(image: np.ndarray, side: int = _SIDE) -> np.ndarray:
    """Return an image at about this size; its pixels stay squares where they are enlarged."""
    height, width = image.shape[:2]
    scale = side / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    return np.array(Image.fromarray(np.ascontiguousarray(image, dtype=np.uint8)).resize(size, kind))
