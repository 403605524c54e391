"""A contact sheet of what augmentation does: people look before they train."""

import numpy as np

from opsin.augmentation.augmenter import Augmenter
from opsin.augmentation.policies import get_policy
from opsin.data.dataset import ImageDataset
from opsin.errors import DataError, PictureError
from opsin.images.drawing import contact_sheet
from opsin.images.preprocess import Preprocess

PICTURES = 8
VIEWS = 7


def preview_augmentation(dataset: ImageDataset, preprocess: Preprocess, policy: str, seed: int = 0) -> np.ndarray:
    """Draw pictures of the data set as the network will see them: each as it is, then in seven epochs.

    Args:
        dataset: up to eight pictures of it are shown, spread over the classes.
        preprocess: the recipe.
        policy: the name of an augmentation policy.
        seed: the training's seed; the views are those that training will see if it has the same rows.

    Returns:
        uint8 (H, W, 3), RGB, 0 to 255. Pictures in `hsv` or `lab` are shown in false colours.

    Raises:
        DataError: none of the pictures can be read.
    """
    augmenter = Augmenter(get_policy(policy), seed, len(dataset.class_names), color=preprocess.color)
    tiles, captions = [], []
    for position in _spread(dataset):
        try:
            image = preprocess.read(dataset.paths[position])
        except PictureError:
            continue
        views = [augmenter.augment_image(image, epoch=epoch, index=int(position)) for epoch in range(VIEWS)]
        tiles += [image, *views]
        captions += [dataset.class_names[dataset.labels[position]], *(f"epoch {i + 1}" for i in range(VIEWS))]
    if not tiles:
        raise DataError(f"Expected pictures that can be read; none of those tried under {str(dataset.root)!r} can.")
    return contact_sheet(tiles, columns=1 + VIEWS, labels=captions)


def _spread(dataset: ImageDataset) -> np.ndarray:
    """Return positions of a few pictures, as many classes among them as can be."""
    by_class = np.argsort(dataset.labels, kind="stable")
    return by_class[np.linspace(0, len(by_class) - 1, min(PICTURES, len(by_class))).astype(int)]
