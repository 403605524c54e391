"""A class for every pixel: data, networks, training, measures and drawing.

Each catalogue names the code of its choices as `"module:function"`.
"""

# (Pixels of a batch) -> float32 (N,), the loss of each picture. The networks are in `networks.NETWORKS`.
LOSSES: dict[str, str] = {
    "ce": "opsin.segmentation.losses:cross_entropy",
    "dice": "opsin.segmentation.losses:dice",
    "focal": "opsin.segmentation.losses:focal",
}
