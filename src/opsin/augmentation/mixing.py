"""Mixing the pictures of a batch with each other, and their labels in the same shares."""

import numpy as np


def mixup(
    alpha: float, generator: np.random.Generator, images: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Blend each picture with another one: Zhang et al. 2017, arXiv 1710.09412, section 2.

    Args:
        alpha: the share of the first picture is drawn from Beta(alpha, alpha), once a batch as in the
            authors' code.
        generator: where the share and the partners come from.
        images: float32 (N, h, w, c), 0–255.
        targets: float32 (N, k), each row sums to 1.

    Returns:
        New images and targets of the same dtype, shape and range.
    """
    share = generator.beta(alpha, alpha)
    partners = generator.permutation(len(images))
    return blend(images, images[partners], share), blend(targets, targets[partners], share)


def cutmix(
    alpha: float, generator: np.random.Generator, images: np.ndarray, targets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Put a box of another picture into each: Yun et al. 2019, arXiv 1905.04899, equations 1 and 2.

    The labels' share is what the box, cut off at the picture's edge, really covers. Args and returns as of
    `mixup`.
    """
    height, width = images.shape[1:3]
    top, left, bottom, right = cutmix_box(generator, generator.beta(alpha, alpha), height, width)
    partners = generator.permutation(len(images))
    mixed = images.copy()
    mixed[:, top:bottom, left:right] = images[partners, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, blend(targets, targets[partners], share)


def cutmix_box(generator: np.random.Generator, share: float, height: int, width: int) -> tuple[int, int, int, int]:
    """Return top, left, bottom, right (the first outside) of a box about a random pixel, cut off at the edge.

    Before that, it has the picture's proportions and the fraction 1 - share of its area.
    """
    half_height, half_width = np.sqrt(1 - share) * height / 2, np.sqrt(1 - share) * width / 2
    y, x = generator.uniform(0, height), generator.uniform(0, width)
    top, bottom = np.rint(np.clip([y - half_height, y + half_height], 0, height)).astype(int).tolist()
    left, right = np.rint(np.clip([x - half_width, x + half_width], 0, width)).astype(int).tolist()
    return top, left, bottom, right


def blend(first: np.ndarray, second: np.ndarray, share: float) -> np.ndarray:
    """Return `share` of the first and the rest of the second, float32."""
    return np.float32(share) * first + np.float32(1 - share) * second
