"""What cameras, hands and networks do to pictures, from hardly seen (1) to plain (5).

Where a kind stands in Hendrycks and Dietterich 2019 ("Benchmarking neural network robustness to common corruptions and
perturbations", arXiv 1903.12261), its numbers are those of the code they published for pictures of 224 pixels. A length
in pixels grows with the picture here. Rotation is not among theirs.

Each function takes uint8 (h, w, 3), RGB, 0 to 255, a severity and a source of chance, and returns another such picture.
"""

import io

import numpy as np
from PIL import Image, ImageFilter

SEVERITIES = (1, 2, 3, 4, 5)

USUAL_SIDE = 224
"""Pixels of the pictures that the numbers were chosen for."""

SIGMAS = (1, 2, 3, 4, 6)
DEVIATIONS = (0.08, 0.12, 0.18, 0.26, 0.38)
QUALITIES = (25, 18, 15, 10, 7)
LIGHTER = (0.1, 0.2, 0.3, 0.4, 0.5)
DEGREES = (3, 6, 10, 15, 20)


def blur(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Blur by a Gaussian, as a lens that is out of focus or a picture that was enlarged."""
    sigma = SIGMAS[severity - 1] * max(image.shape[:2]) / USUAL_SIDE
    return np.array(Image.fromarray(image).filter(ImageFilter.GaussianBlur(sigma)))


def noise(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise to every value, as a sensor does in the dark."""
    drawn = random.normal(scale=255 * DEVIATIONS[severity - 1], size=image.shape)
    return np.clip(image + drawn, 0, 255).round().astype(np.uint8)


def jpeg(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Save as a JPEG of low quality, as messengers do."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=QUALITIES[severity - 1])
    return np.array(Image.open(buffer))


def brightness(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Make lighter (V of HSV), as in too long an exposure."""
    scaled = image / 255
    value = scaled.max(axis=2, keepdims=True)
    lighter = np.minimum(value + LIGHTER[severity - 1], 1)
    # In HSV, red, green and blue are V times what hue and saturation say; black has no hue and becomes grey.
    return (255 * np.where(value > 0, scaled * lighter / np.maximum(value, 1e-9), lighter)).round().astype(np.uint8)


def rotation(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
    """Turn by some degrees to either side, as a camera that is not held straight; corners are filled by mirroring."""
    height, width = image.shape[:2]
    # Far enough for the largest angle; black corners would be a corruption of their own.
    margin = max(height, width) // 4 + 1
    wide = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="symmetric")
    degrees = DEGREES[severity - 1] * random.choice([-1, 1])
    turned = Image.fromarray(wide).rotate(float(degrees), Image.Resampling.BILINEAR)
    return np.array(turned)[margin : margin + height, margin : margin + width]
