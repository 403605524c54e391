"""Why a network says what it says: heat maps over pictures, how far they can be believed, and what is inside a network.

Each name is a method, and its code is one function `(network, images, class_indices, place)`: an `ImageNetwork`,
float32 (N, h, w, c) from 0 to 255, int (N,), and a `Place` in the network. It returns float32 (N, h', w'), 0 or
more: the evidence for the class, in the method's own unit.
"""

# On the maps of a layer: what of them speaks for the class. They have the layer's size.
ON_A_LAYER = {
    "grad_cam": "opsin.explanation.class_activation:grad_cam",
    "grad_cam_plus_plus": "opsin.explanation.class_activation:grad_cam_plus_plus",
    "layer_cam": "opsin.explanation.class_activation:layer_cam",
    "hires_cam": "opsin.explanation.class_activation:hires_cam",
    "score_cam": "opsin.explanation.score_cam:score_cam",
}

# On the pixels of the picture, whatever is inside the network.
ON_PIXELS = {
    "integrated_gradients": "opsin.explanation.pixel_gradients:integrated_gradients",
    "smooth_grad": "opsin.explanation.pixel_gradients:smooth_grad",
    "occlusion": "opsin.explanation.occlusion:occlusion",
}

EXPLAINERS = {**ON_A_LAYER, **ON_PIXELS}

COLORS = ("inferno", "viridis", "magma", "cividis", "jet")
"""The colour maps that heat maps are drawn in; the first is the default. All but jet are perceptually uniform: equal
steps of evidence look equal."""
