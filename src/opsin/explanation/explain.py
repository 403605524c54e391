"""`explain`: what in a picture speaks for a class, as a heat map over the picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from opsin.classifier import Source
from opsin.detection.heat_boxes import box_of_heat
from opsin.explanation import COLORS
from opsin.explanation.geometry import onto_picture
from opsin.explanation.heat_maps import heat_maps, place_for
from opsin.explanation.network import ImageNetwork
from opsin.explanation.opening import open_network
from opsin.explanation.overlay import draw_sheet
from opsin.exporters.foreign import Description
from opsin.images.decode import as_image, decode_image, take_pillow
from opsin.images.drawing import save_image
from opsin.images.link import Link
from opsin.images.preprocess import Preprocess

if TYPE_CHECKING:
    import keras

    from opsin.classifier import Classifier


@dataclass(frozen=True, eq=False)
class Explanation:
    """What in one picture speaks for one class.

    Args:
        heat_map: float32 (H, W), 0 to 1, over the picture as a person sees it.
        peak: the evidence's maximum before it was scaled, in the method's own unit; 0: there is no evidence.
        method: a name in `opsin.explanation.EXPLAINERS`.
        layer: whose maps were looked at; None for methods on pixels.
        class_name: which class is explained.
        class_index: its place among the network's outputs.
        probability: of that class, calibrated, from 0 to 1.
        picture: uint8 (H, W, 3), RGB, 0 to 255, upright.
        evidence: float32 (h, w), 0 to 1: the heat map as it was computed, over the network's whole input.
    """

    heat_map: np.ndarray
    peak: float
    method: str
    layer: str | None
    class_name: str
    class_index: int
    probability: float
    picture: np.ndarray
    evidence: np.ndarray

    @property
    def box(self) -> np.ndarray | None:
        """The box around the largest hot area, float64 (4,), xyxy, in the picture's pixels; None without evidence."""
        return box_of_heat(self.heat_map)

    def save(self, path: str | Path, *, colors: str = COLORS[0]) -> None:
        """Draw the picture, and beside it the heat map over it with a legend.

        Args:
            path: ends in .png, .jpg or .webp.
            colors: the colour map: inferno, viridis, cividis, magma; or jet, which makes edges where there are none.

        Raises:
            UsageError: the suffix or the colours are none of these.
            SavingError: the file cannot be written.
        """
        save_image(draw_sheet([self], colors=colors), path)


@dataclass(frozen=True, eq=False)
class Seen:
    """A picture, and what the network gets to see of it.

    Args:
        picture: uint8 (H, W, 3), RGB, 0 to 255, upright.
        image: uint8 (h, w, c), 0 to 255, by the network's recipe.
        probabilities: float64 (k,), calibrated.
    """

    picture: np.ndarray
    image: np.ndarray
    probabilities: np.ndarray

    @property
    def best(self) -> int:
        """The index of the most probable class."""
        return int(self.probabilities.argmax())


def explain(
    model: "Classifier | keras.Model | ImageNetwork | str | Path",
    picture: Source,
    *,
    method: str = "grad_cam",
    class_name: str | None = None,
    layer: str | None = None,
    description: Description | None = None,
) -> Explanation:
    """Say what in a picture speaks for a class.

    Args:
        model: a classifier, a run or model folder, a `.keras` file, or any Keras model of pictures.
        picture: a path, a file's bytes, a `Link`, a Pillow image, or pixels, uint8 (H, W, 3), RGB.
        method: a name in `opsin.explanation.EXPLAINERS`.
        class_name: which class; None: the most probable one.
        layer: for methods on a layer: its name, in a nested model `"<model>/<layer>"`; None: the last with maps.
        description: of a `.keras` file or Keras model: its class names, and the range of values that it takes.

    Raises:
        UsageError: there is no such method, class or layer; the network has several inputs.
        PictureError: the picture cannot be read.
        ModelError: the model cannot be opened, has no gradients, or no layer that gives maps.
    """
    network = open_network(model, description)
    place_for(network, method, layer)
    seen = look(network, picture)
    class_index = seen.best if class_name is None else network.class_index(class_name)
    (explanation,) = explain_seen(network, seen, [(method, class_index)], layer=layer)
    return explanation


def look(network: ImageNetwork, picture: Source) -> Seen:
    """Read a picture as a person and as the network sees it, and predict it.

    Raises:
        PictureError: it cannot be read.
    """
    # Fetched once, not twice.
    source = picture.fetch() if isinstance(picture, Link) else picture
    image = network.preprocess.read(source)
    whole = read_upright(source, network.preprocess)
    return Seen(whole, image, network.probabilities(image[None].astype(np.float32))[0])


def read_upright(source: Source, preprocess: Preprocess) -> np.ndarray:
    """Return a picture at its full size, uint8 (H, W, 3), RGB, upright."""
    if isinstance(source, np.ndarray):
        return as_image(source, background=preprocess.background)
    if isinstance(source, Image.Image):
        return np.array(take_pillow(source, background=preprocess.background).image)
    return decode_image(source, background=preprocess.background)


def explain_seen(
    network: ImageNetwork, seen: Seen, wanted: Sequence[tuple[str, int]], *, layer: str | None = None
) -> list[Explanation]:
    """Explain one picture by several methods or for several classes.

    Args:
        network: the network.
        seen: the picture.
        wanted: (method, class index) of each explanation.
        layer: for those of the methods that look at a layer: its name.
    """
    return [_explain_one(network, seen, method, index, layer) for method, index in wanted]


def _explain_one(network: ImageNetwork, seen: Seen, method: str, class_index: int, layer: str | None) -> Explanation:
    place = place_for(network, method, layer)
    maps, peaks = heat_maps(network, seen.image[None], np.array([class_index]), method=method, layer=layer)
    return Explanation(
        heat_map=onto_picture(maps[0], network.preprocess, *seen.picture.shape[:2]),
        peak=float(peaks[0]),
        method=method,
        layer=place.name if place else None,
        class_name=network.class_names[class_index],
        class_index=class_index,
        probability=float(seen.probabilities[class_index]),
        picture=seen.picture,
        evidence=maps[0],
    )
