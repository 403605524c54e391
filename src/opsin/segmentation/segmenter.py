"""`Segmenter`: a finished network that gives a class to every pixel, ready to use; no TensorFlow needed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from opsin.catalog import choose
from opsin.errors import ModelError, UsageError
from opsin.images.color import convert_color
from opsin.images.decode import Source, decode_image, picture_orientation, picture_size
from opsin.model_folder import SEGMENTATION, ModelCard, find_model_folder
from opsin.runtimes import IN_THE_MODEL
from opsin.segmentation.classes import IGNORED, ClassTable
from opsin.segmentation.masks import encode_mask
from opsin.segmentation.orientation import as_stored
from opsin.segmentation.road import SegmentationRecipe
from opsin.segmentation.running import open_network
from opsin.segmentation.tiles import Tiling, segment_in_tiles, tile_bands

BATCH = 4
"""Images that the network sees at once."""

GRID = 8
"""Golden answers are kept of so many places along each side: all of them would take more room than the network."""


@dataclass(frozen=True, eq=False)
class SegmentedPicture:
    """What a segmenter says of one picture.

    Args:
        path: the picture's file; None if it came as bytes.
        mask: uint8 (H, W), class indices, of the picture as it is seen upright; 255 where nothing is known, since the
            recipe cuts it off.
        classes: their names and colours.
        probabilities: float32 (H, W, k), 0 to 1; None unless they were asked for.
        orientation: EXIF's, 1 to 8, of the picture's file; 1 is upright already.
    """

    path: str | None
    mask: np.ndarray
    classes: ClassTable
    probabilities: np.ndarray | None = None
    orientation: int = 1

    @property
    def stored_mask(self) -> np.ndarray:
        """uint8, the mask as the picture's file has its pixels: for programs that do not mind EXIF."""
        return as_stored(self.mask, self.orientation)

    @cached_property
    def pixels(self) -> dict[str, int]:
        """How many pixels each class has, by its name."""
        counts = np.bincount(self.mask.ravel(), minlength=IGNORED + 1)
        return {name: int(count) for name, count in zip(self.classes.names, counts, strict=False)}

    @property
    def areas(self) -> dict[str, float]:
        """The share of the picture that each class has, by its name, from 0 to 1."""
        return {name: count / self.mask.size for name, count in self.pixels.items()}

    def png(self) -> bytes:
        """Return the mask as the content of a PNG: class indices, in the classes' colours."""
        return encode_mask(self.mask, self.classes)

    def __str__(self) -> str:
        return f"{self.path or 'picture'}: " + ", ".join(f"{name} {share:.1%}" for name, share in self.areas.items())


class Segmenter:
    """A finished network that gives a class to every pixel; open one with `Segmenter.open`.

    Args:
        network: images, float32 (N, h, w, c), 0 to 255 → logits, float32 (N, h, w, k).
        card: the recipe, the classes and where it comes from.
        folder: the model folder it was read from.
    """

    def __init__(self, network: Callable[[np.ndarray], np.ndarray], card: ModelCard, folder: Path):
        self.network = network
        self.card = card
        self.folder = folder
        self.recipe, self.classes = recipe_and_classes(card)

    @classmethod
    def open(cls, path: str | Path, runtime: str | None = None, *, threads: int | None = None) -> "Segmenter":
        """Open a run folder, a model folder or an export; through LiteRT this loads no TensorFlow.

        Args:
            path: the folder.
            runtime: `"litert"` for the model's twin, `"keras"` for `model.keras` (needs `opsin[train]`); None for the
                twin, or for what an export is for.
            threads: how many threads the runtime may use; None for all cores of this process.

        Raises:
            UsageError: there is nothing at the path, no such runtime, or less than one thread.
            ModelError: the folder is no model, one that classifies whole pictures, or a file in it is missing or
                altered.
            MissingPackageError: the runtime is not installed.
        """
        if runtime is not None:
            choose("runtime", runtime, IN_THE_MODEL)
        if threads is not None and threads < 1:
            raise UsageError(f"Expected at least 1 thread; received {threads}.")
        folder = find_model_folder(path)
        card = ModelCard.read(folder, task=SEGMENTATION)
        if card.artefact is not None and runtime not in (None, card.artefact.format):
            raise UsageError(
                f"Expected {card.artefact.format!r} as runtime, which {str(folder)!r} was exported for; received "
                f"{runtime!r}. Leave it out, or give the model that it was exported from."
            )
        return cls(open_network(folder, card, runtime, threads), card, folder)

    @property
    def run_folder(self) -> Path:
        """What the model folder lies in: a run, with its account of the pictures, unless it was copied elsewhere."""
        return self.folder.resolve().parent

    @property
    def class_names(self) -> tuple[str, ...]:
        """The k class names, in the order of the indices in masks."""
        return self.classes.names

    def run(self, images: np.ndarray) -> np.ndarray:
        """Run the network.

        Args:
            images: uint8 or float32 (N, h, w, c), 0 to 255, of the recipe's size.

        Returns:
            float32 (N, h, w, k), probabilities.

        Raises:
            ModelError: the network gives something that is no number.
        """
        images = np.asarray(images, dtype=np.float32)
        parts = [self.network(images[start : start + BATCH]) for start in range(0, len(images), BATCH)]
        logits = np.concatenate(parts)
        if not np.isfinite(logits).all():
            raise ModelError(
                f"Expected numbers from the network in {str(self.folder)!r}; it gives NaN or infinity, as one does "
                "whose training diverged. Train it again."
            )
        return pixel_softmax(logits)

    def segment(self, source: Source, *, tiles: bool = False, probabilities: bool = False) -> SegmentedPicture:
        """Say of every pixel of a picture what it is.

        Args:
            source: its file's path, or its content.
            tiles: whether the picture is left at its own scale and seen in overlapping tiles of the network's size,
                for large pictures of which the network has learned parts; otherwise it is brought to that size whole.
            probabilities: whether they are wanted as well: 4 bytes a pixel and class.

        Raises:
            PictureError: it cannot be read.
        """
        path = os.fspath(source) if isinstance(source, str | os.PathLike) else None
        mask, back = (self._in_tiles if tiles else self._whole)(source, probabilities)
        return SegmentedPicture(path, mask, self.classes, back, picture_orientation(source))

    def _whole(self, source: Source, probabilities: bool) -> tuple[np.ndarray, np.ndarray | None]:
        height, width = picture_size(source)
        (found,) = self.run(self.recipe.preprocess.read(source)[None])
        if not probabilities:
            return self.recipe.classes_back(found, height, width), None
        back = self.recipe.back(found, height, width)
        mask = back.argmax(axis=2).astype(np.uint8)
        mask[~back.any(axis=2)] = IGNORED
        return mask, back

    def _in_tiles(self, source: Source, probabilities: bool) -> tuple[np.ndarray, np.ndarray | None]:
        image = convert_color(decode_image(source, background=self.recipe.background), self.recipe.color)
        tiling = Tiling(*self.recipe.size, batch=BATCH)
        if not probabilities:
            return segment_in_tiles(image, self.run, tiling), None
        found = np.concatenate([band.probabilities for band in tile_bands(image, self.run, tiling)])
        return found.argmax(axis=2).astype(np.uint8), found


def recipe_and_classes(card: ModelCard) -> tuple[SegmentationRecipe, ClassTable]:
    """Return a card's road and its classes.

    Raises:
        ModelError: they cannot be read.
    """
    try:
        recipe = SegmentationRecipe.from_dict(card.segmentation["recipe"])
        classes = ClassTable.from_dict(card.segmentation["classes"])
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"Expected a recipe and classes in the model's card; {error} is missing. Copy the model folder again from "
            "where it was trained."
        ) from error
    if classes.names != card.class_names:
        raise ModelError(f"Expected the classes {card.class_names} in the model's card; received {classes.names}.")
    return recipe, classes


def pixel_softmax(logits: np.ndarray) -> np.ndarray:
    """Return the probabilities, float32 (N, h, w, k), that logits of that shape stand for.

    >>> pixel_softmax(np.zeros((1, 1, 1, 2), np.float32)).tolist()
    [[[[0.5, 0.5]]]]
    """
    exponents = np.exp(logits - logits.max(axis=-1, keepdims=True))
    exponents /= exponents.sum(axis=-1, keepdims=True)
    return exponents


def on_grid(said: np.ndarray) -> np.ndarray:
    """Return (N, GRID, GRID, k): of what is said of pixels, (N, h, w, k), places that lie evenly over the picture."""
    rows, columns = (np.linspace(0, size - 1, GRID).round().astype(int) for size in said.shape[1:3])
    return said[:, rows[:, None], columns]
