"""Class activation maps: the maps of a layer, weighed by what they do to a class's score.

Throughout, A are the layer's maps and G = ∂S/∂A the gradients of the class's score S, its logit, both (N, h', w', k).
"""

import numpy as np

from opsin.explanation.gradients import maps_and_gradients
from opsin.explanation.network import ImageNetwork
from opsin.explanation.places import Place


def grad_cam(network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place) -> np.ndarray:
    """Weigh each map by its mean gradient (Selvaraju et al. 2017, arXiv 1610.02391)."""
    maps, gradients = maps_and_gradients(network, images, class_indices, place)
    weights = gradients.mean(axis=(1, 2), keepdims=True)  # Equation 1.
    return _evidence(weights * maps)  # Equation 2.


def grad_cam_plus_plus(
    network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place
) -> np.ndarray:
    """Weigh each map by its positive gradients, place by place (Chattopadhyay et al. 2018, arXiv 1710.11063).

    The paper differentiates Y = exp(S). The factor exp(S) is the same in all weights of a picture and overflows for
    large logits; it is left out, and the evidence is in units of it.
    """
    maps, gradients = maps_and_gradients(network, images, class_indices, place)
    sums = maps.sum(axis=(1, 2), keepdims=True)
    below = 2 * gradients**2 + sums * gradients**3
    # Equation 19; where nothing can be divided by, the gradient is zero, or the terms cancel.
    alphas = np.divide(gradients**2, below, out=np.zeros_like(below), where=below != 0)
    weights = (alphas * np.maximum(gradients, 0)).sum(axis=(1, 2), keepdims=True)  # Equation 5.
    return _evidence(weights * maps)  # And its sum, rectified as in Grad-CAM.


def layer_cam(network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place) -> np.ndarray:
    """Weigh each value by its own positive gradient (Jiang et al. 2021, doi 10.1109/TIP.2021.3089943)."""
    maps, gradients = maps_and_gradients(network, images, class_indices, place)
    return _evidence(np.maximum(gradients, 0) * maps)  # ReLU(Σ_k ReLU(G) · A): the paper's definition of LayerCAM.


def hires_cam(network: ImageNetwork, images: np.ndarray, class_indices: np.ndarray, place: Place) -> np.ndarray:
    """Multiply each value by its own gradient (Draelos and Carin 2020, arXiv 2011.08891)."""
    maps, gradients = maps_and_gradients(network, images, class_indices, place)
    return _evidence(gradients * maps)  # Σ_k G · A: the paper's definition; the rectifier is for showing.


def _evidence(weighed: np.ndarray) -> np.ndarray:
    """Add up the maps and keep what speaks for the class: float32 (N, h', w'), 0 or more."""
    return np.maximum(weighed.sum(axis=3), 0)
