"""Boxes: their formats, overlap, suppression, anchors, files and measures; NumPy alone, no TensorFlow.

Each name is a method of suppression, and its code is one function `(boxes, scores, settings)`: float (n, 4), xyxy,
and float (n,), both from the highest score to the lowest, and a `Suppression`. It returns a `Survivors`.
"""

SUPPRESSIONS = {
    "greedy": "opsin.detection.greedy:greedy",
    "soft_linear": "opsin.detection.soft:soft_linear",
    "soft_gaussian": "opsin.detection.soft:soft_gaussian",
    "matrix_linear": "opsin.detection.matrix_suppression:matrix_linear",
    "matrix_gaussian": "opsin.detection.matrix_suppression:matrix_gaussian",
    "weighted_fusion": "opsin.detection.box_fusion:weighted_fusion",
}
