"""The arithmetic of a convolutional network in plain NumPy: what a layer computes, weighs, costs and sees.

Written to be read, and used as the known answer that Keras layers are held against. An image here is
one picture's array `(h, w, c)` without a batch axis. Where a size may differ by axis, an int stands
for both and a pair is `(height, width)`. Results keep float32 or float64 as they came.
"""

from collections.abc import Iterable

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from opsin.errors import UsageError

Pair = int | tuple[int, int]


def convolution(
    image: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: str | int = "valid",
    dilation: Pair = 1,
) -> np.ndarray:
    """Lay the kernel on every place of the image and add up the products.

    As everywhere in deep learning the kernel is not flipped: mathematics calls this cross-correlation.

    Args:
        image: float `(h, w, c_in)`.
        kernel: float `(k_h, k_w, c_in, c_out)`.
        bias: float `(c_out,)`, added at every place.
        stride: step from place to place, in pixels.
        padding: `"valid"` (none), `"same"` (see `same_padding`) or the zeros on each side, in pixels.
        dilation: step from one value of the kernel to the next, in pixels.

    Returns:
        Float `(h_out, w_out, c_out)`, sizes as `output_size` says.

    Raises:
        UsageError: the channels differ, or the kernel does not fit into the padded image.

    >>> edge = np.array([[10, 10, 10, 0, 0]] * 5)[:, :, np.newaxis]
    >>> vertical = np.array([[-1, 0, 1]] * 3)[:, :, np.newaxis, np.newaxis]
    >>> convolution(edge, vertical)[:, :, 0]
    array([[  0, -30, -30],
           [  0, -30, -30],
           [  0, -30, -30]])
    """
    windows = _kernel_windows(image, kernel, stride=stride, padding=padding, dilation=dilation)
    maps = np.einsum("hwcij,ijcf->hwf", windows, kernel, optimize=True)
    return maps if bias is None else maps + bias


def depthwise_convolution(
    image: np.ndarray,
    kernel: np.ndarray,
    bias: np.ndarray | None = None,
    *,
    stride: Pair = 1,
    padding: str | int = "valid",
    dilation: Pair = 1,
) -> np.ndarray:
    """Convolve each channel by itself, with `m` kernels of its own.

    A separable convolution is this and then `convolution` with a 1×1 kernel.

    Args:
        image: float `(h, w, c)`.
        kernel: float `(k_h, k_w, c, m)`.
        bias: float `(c * m,)`, added at every place.
        stride, padding, dilation: as for `convolution`.

    Returns:
        Float `(h_out, w_out, c * m)`; a channel's `m` maps lie side by side.

    >>> image = np.ones((3, 3, 2)) * [1, 10]
    >>> depthwise_convolution(image, np.ones((3, 3, 2, 1)))
    array([[[ 9., 90.]]])
    """
    windows = _kernel_windows(image, kernel, stride=stride, padding=padding, dilation=dilation)
    maps = np.einsum("hwcij,ijcm->hwcm", windows, kernel)
    maps = maps.reshape(*maps.shape[:2], -1)
    return maps if bias is None else maps + bias


def max_pooling(
    image: np.ndarray, window: Pair = 2, *, stride: Pair | None = None, padding: str = "valid"
) -> np.ndarray:
    """Keep the largest value of each window.

    Args:
        image: numbers `(h, w, c)`.
        window: size of the window, in pixels.
        stride: step from window to window, in pixels; the window's own size if None.
        padding: `"valid"` or `"same"`; padding never wins.

    Returns:
        Numbers `(h_out, w_out, c)`, of the image's dtype.

    Raises:
        UsageError: the window does not fit into the image.

    >>> image = np.array([[1, 3, 2, 4], [5, 6, 1, 2], [3, 2, 8, 1], [4, 7, 3, 9]])
    >>> max_pooling(image[:, :, np.newaxis])[:, :, 0]
    array([[6, 4],
           [7, 9]])
    """
    stride = window if stride is None else stride
    # A repeated border pixel lies in the window already, so it changes no maximum, in any dtype.
    return _windows(image, window, stride=stride, padding=padding, mode="edge").max(axis=(3, 4))


def average_pooling(
    image: np.ndarray, window: Pair = 2, *, stride: Pair | None = None, padding: str = "valid"
) -> np.ndarray:
    """Take the mean of each window; padding does not count, as in TensorFlow.

    Args:
        image: numbers `(h, w, c)`.
        window, stride, padding: as for `max_pooling`.

    Returns:
        Float `(h_out, w_out, c)`.

    >>> average_pooling(np.array([[[1.0], [3.0], [5.0]]]), (1, 2), padding="same")[:, :, 0]
    array([[2., 5.]])
    """
    stride = window if stride is None else stride
    sums = _windows(image, window, stride=stride, padding=padding).sum(axis=(3, 4))
    counts = _windows(np.ones_like(image), window, stride=stride, padding=padding).sum(axis=(3, 4))
    return sums / counts


def output_size(size: int, kernel: int, *, stride: int = 1, padding: str | int = "valid", dilation: int = 1) -> int:
    """Say on how many places along one axis a kernel, or a pooling window, is laid.

    `floor((size - kernel + 2 * padding) / stride) + 1`; `"same"` comes to `ceil(size / stride)`.

    Args:
        size: height or width of the input, in pixels.
        kernel: size of the kernel along that axis.
        stride: step from place to place, in pixels.
        padding: `"valid"`, `"same"` or the zeros on each side, in pixels.
        dilation: step from one value of the kernel to the next, in pixels.

    Returns:
        Height or width of the output, in pixels.

    Raises:
        UsageError: the kernel does not fit, or a setting is none that a layer can have.

    >>> output_size(32, 3, padding=1), output_size(32, 3, stride=2, padding=1)
    (32, 16)
    >>> output_size(28, 5), output_size(224, 3), output_size(32, 5, stride=2)
    (24, 222, 14)
    >>> output_size(32, 3), output_size(32, 3, padding="same"), output_size(32, 3, stride=2, padding="same")
    (30, 32, 16)
    """
    before, after = _pads(size, kernel, stride, dilation, padding)
    return (before + size + after - _span(kernel, dilation)) // stride + 1


def same_padding(size: int, kernel: int, *, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Say how many zeros `padding="same"` puts before and after one axis.

    An odd one goes to the end, as in TensorFlow; PyTorch's `padding=1` puts one on each side, so that
    a strided layer's weights give other answers there.

    Args:
        size, kernel, stride, dilation: as for `output_size`.

    Returns:
        Zeros before and after, in pixels.

    Raises:
        UsageError: a setting is none that a layer can have.

    >>> same_padding(32, 3), same_padding(32, 3, stride=2)
    ((1, 1), (0, 1))
    """
    if min(size, kernel, stride, dilation) < 1:
        raise UsageError(
            "Expected size, kernel, stride and dilation of at least 1 pixel. "
            f"Received {size}, {kernel}, {stride} and {dilation}. Use 1 or more for each."
        )
    places = -(-size // stride)
    total = max((places - 1) * stride + _span(kernel, dilation) - size, 0)
    return total // 2, total - total // 2


def convolution_parameters(
    kernel: Pair, *, channels_in: int, channels_out: int, groups: int = 1, bias: bool = True
) -> int:
    """Count the numbers that a convolution learns; the picture's size does not matter.

    Args:
        kernel: size of the kernel.
        channels_in, channels_out: channels of the input and of the output, which has a kernel for each.
        groups: into how many the channels are divided, each output seeing only its own group.
        bias: whether each output has a bias.

    Returns:
        `k_h * k_w * (channels_in / groups) * channels_out`, and `channels_out` biases.

    Raises:
        UsageError: the channels cannot be divided into that many groups.

    >>> convolution_parameters(3, channels_in=3, channels_out=32)
    896
    >>> convolution_parameters(1, channels_in=64, channels_out=32)
    2080
    """
    if groups < 1 or channels_in % groups or channels_out % groups:
        raise UsageError(
            f"Expected channels that can be divided into {groups} groups. Received {channels_in} in and "
            f"{channels_out} out. Use a number of groups that divides both."
        )
    height, width = _pair(kernel)
    return height * width * (channels_in // groups) * channels_out + bias * channels_out


def depthwise_parameters(kernel: Pair, *, channels: int, multiplier: int = 1, bias: bool = True) -> int:
    """Count the numbers that a depthwise convolution learns.

    Args:
        kernel: size of the kernel.
        channels: channels of the input.
        multiplier: kernels for each channel.
        bias: whether each output has a bias.

    Returns:
        `k_h * k_w * channels * multiplier`, and as many biases as outputs.

    >>> depthwise_parameters(3, channels=64, bias=False)
    576
    """
    return convolution_parameters(
        kernel, channels_in=channels, channels_out=channels * multiplier, groups=channels, bias=bias
    )


def separable_parameters(
    kernel: Pair, *, channels_in: int, channels_out: int, multiplier: int = 1, bias: bool = True
) -> int:
    """Count the numbers of a depthwise convolution and the 1×1 convolution that mixes its maps.

    Args:
        kernel: size of the depthwise kernel.
        channels_in, channels_out: channels of the input and of the output.
        multiplier: depthwise kernels for each channel.
        bias: whether each output has a bias (the maps between have none, as in Keras).

    Returns:
        The sum for both; against a plain convolution about `1 / channels_out + 1 / kernel**2`.

    >>> separable_parameters(3, channels_in=64, channels_out=128)
    8896
    >>> convolution_parameters(3, channels_in=64, channels_out=128)
    73856
    """
    depthwise = depthwise_parameters(kernel, channels=channels_in, multiplier=multiplier, bias=False)
    pointwise = convolution_parameters(1, channels_in=channels_in * multiplier, channels_out=channels_out, bias=bias)
    return depthwise + pointwise


def dense_parameters(values: int, units: int, *, bias: bool = True) -> int:
    """Count the numbers that a dense layer learns.

    Args:
        values, units: how many values come in, and go out.
        bias: whether each unit has a bias.

    Returns:
        `values * units`, and `units` biases.

    >>> dense_parameters(64 * 64 * 3, 32, bias=False)
    393216
    """
    return values * units + bias * units


def convolution_multiply_adds(
    kernel: Pair, *, channels_in: int, channels_out: int, places: int, groups: int = 1
) -> int:
    """Count the multiplications, each with its addition, that a convolution does on one picture.

    Every weight is used once at every place; biases are not counted. A depthwise convolution has
    `groups=channels_in`; a dense layer is a 1×1 convolution at one place.

    Args:
        kernel, channels_in, channels_out, groups: as for `convolution_parameters`.
        places: height times width of the output (of the input, where the convolution is transposed).

    Returns:
        Multiply-adds; twice as many floating-point operations.

    >>> convolution_multiply_adds(3, channels_in=3, channels_out=32, places=30 * 30)
    777600
    """
    weights = convolution_parameters(
        kernel, channels_in=channels_in, channels_out=channels_out, groups=groups, bias=False
    )
    return weights * places


def receptive_field(layers: Iterable[tuple[int, int, int]], *, start: tuple[int, int] = (1, 1)) -> tuple[int, int]:
    """Say how much of the input one value sees through a chain of layers, along one axis.

    Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks" (Distill,
    2019), eq. 2, where a dilated kernel counts with the length it spans.

    Args:
        layers: `(kernel, stride, dilation)` of each convolution or pooling, from the input on.
        start: what this function gave for the layers before these.

    Returns:
        What one value sees and the distance between two neighbours, both in input pixels.

    >>> receptive_field([(3, 1, 1)] * 2), receptive_field([(3, 1, 1)] * 3)
    ((5, 1), (7, 1))
    >>> receptive_field([(3, 1, 1), (2, 2, 1), (3, 1, 1)])
    (8, 2)
    """
    size, jump = start
    for kernel, stride, dilation in layers:
        size += (_span(kernel, dilation) - 1) * jump
        jump *= stride
    return size, jump


def _kernel_windows(image: np.ndarray, kernel: np.ndarray, **geometry: Pair | str) -> np.ndarray:
    if kernel.ndim != 4 or image.shape[-1] != kernel.shape[2]:
        raise UsageError(
            "Expected a kernel (height, width, channels in, channels out) with the image's channels. "
            f"Received shape {kernel.shape} for an image of shape {image.shape}. Change one of the two."
        )
    return _windows(image, kernel.shape[:2], **geometry)


def _windows(
    image: np.ndarray,
    window: Pair,
    *,
    stride: Pair,
    padding: str | int,
    dilation: Pair = 1,
    mode: str = "constant",
) -> np.ndarray:
    """View `(h_out, w_out, c, window_h, window_w)`: what the window sees at each place."""
    if image.ndim != 3:
        raise UsageError(
            f"Expected an image (height, width, channels). Received shape {image.shape}. "
            "Add the axes that are missing; take the pictures of a batch one at a time."
        )
    axes = list(zip(image.shape[:2], _pair(window), _pair(stride), _pair(dilation), strict=True))
    padded = np.pad(image, [*(_pads(*axis, padding) for axis in axes), (0, 0)], mode=mode)
    spans = [_span(kernel, gap) for _, kernel, _, gap in axes]
    (_, _, step_h, gap_h), (_, _, step_w, gap_w) = axes
    return sliding_window_view(padded, spans, axis=(0, 1))[::step_h, ::step_w, :, ::gap_h, ::gap_w]


def _pads(size: int, kernel: int, stride: int, dilation: int, padding: str | int) -> tuple[int, int]:
    """Zeros before and after one axis, on which the kernel then fits."""
    before, after = same_padding(size, kernel, stride=stride, dilation=dilation)
    if padding != "same":
        before = after = _symmetric_padding(padding)
    room, span = before + size + after, _span(kernel, dilation)
    if span > room:
        raise UsageError(
            f"Expected a kernel that fits into the picture. Received one that spans {span} pixels, on "
            f"{room} (padding included). Use a larger picture, a smaller kernel or padding='same'."
        )
    return before, after


def _symmetric_padding(padding: str | int) -> int:
    pixels = 0 if padding == "valid" else padding
    if isinstance(pixels, int) and pixels >= 0:
        return pixels
    raise UsageError(
        f"Expected 'valid', 'same' or a number of pixels as padding. Received {padding!r}. Use one of these."
    )


def _span(kernel: int, dilation: int) -> int:
    return dilation * (kernel - 1) + 1


def _pair(value: Pair) -> tuple[int, int]:
    return tuple(value) if isinstance(value, tuple | list) else (value, value)
