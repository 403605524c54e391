"""Changes to training pictures that leave their label true.

Each name is a setting of `opsin.augmentation.policies.Policy`, and its code is one function. Four kinds, each
with one signature; within a kind they are applied in the order written here.
"""

# (amount, draws, height, width) -> float64 (N, 3, 3): where each pixel of the new image comes from.
GEOMETRY = {
    "crop": "opsin.augmentation.geometry:crop",
    "zoom": "opsin.augmentation.geometry:zoom",
    "rotation": "opsin.augmentation.geometry:rotation",
    "translation": "opsin.augmentation.geometry:translation",
    "alternating_flip": "opsin.augmentation.geometry:alternating_flip",
    "horizontal_flip": "opsin.augmentation.geometry:horizontal_flip",
    "vertical_flip": "opsin.augmentation.geometry:vertical_flip",
}

# (amount, draws, means) -> float64 (N, 4, 4): what becomes of each pixel's values.
COLOR = {
    "contrast": "opsin.augmentation.color:contrast",
    "brightness": "opsin.augmentation.color:brightness",
    "saturation": "opsin.augmentation.color:saturation",
    "hue": "opsin.augmentation.color:hue",
}

# (amount, draws, height, width) -> int64 (N, 4): the box that is overwritten.
ERASING = {"erasing": "opsin.augmentation.erasing:erasing"}

# (alpha, generator, images, targets) -> (images, targets): a batch mixed with itself.
MIXING = {
    "mixup": "opsin.augmentation.mixing:mixup",
    "cutmix": "opsin.augmentation.mixing:cutmix",
}

AUGMENTATIONS = {**GEOMETRY, **COLOR, **ERASING, **MIXING}
