"""A class for every pixel: data, networks, training, measures and drawing.

Each catalogue names the code of its choices as `"module:function"`.
"""

# (NetworkPlan) -> keras.Model that gives logits (N, h, w, k).
NETWORKS: dict[str, str] = {}

# Names of losses, and what they are computed by.
LOSSES: dict[str, str] = {}
