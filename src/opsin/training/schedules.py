"""Learning-rate schedules: the rate, as a fraction of its highest value, at each point of training."""

import math
from collections.abc import Callable

Schedule = Callable[[float], float]

ONE_CYCLE_RISE, ONE_CYCLE_START, ONE_CYCLE_END = 0.23, 0.2, 0.07

GROWING_SHARE = 0.6
SIZE_STEP = 4


def constant(progress: float) -> float:
    """Return 1 whatever the progress, a fraction from 0 to 1 of all steps."""
    return 1.0


def cosine(progress: float) -> float:
    """Fall from 1 to 0 along half a cosine (Loshchilov & Hutter 2016, arXiv 1608.03983, equation 5).

    >>> cosine(0.0), round(cosine(0.5), 6), round(cosine(1.0), 6)
    (1.0, 0.5, 0.0)
    """
    return 0.5 * (1 + math.cos(math.pi * progress))


def one_cycle(progress: float) -> float:
    """Rise straight from 0.2 to 1 over the first 23 %, then fall straight to 0.07.

    The shape is that of Smith 2018, arXiv 1803.09820, section 4; the numbers, for few epochs, are those of Jordan 2024,
    arXiv 2404.00498, listing 4.

    >>> [round(one_cycle(progress), 6) for progress in (0.0, 0.23, 1.0)]
    [0.2, 1.0, 0.07]
    """
    if progress < ONE_CYCLE_RISE:
        return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * progress / ONE_CYCLE_RISE
    return 1 - (1 - ONE_CYCLE_END) * (progress - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)


def rate_at(step: int, *, steps: int, warmup_steps: int, schedule: Schedule) -> float:
    """Return the learning rate at a step as a fraction of its highest value.

    Args:
        step: number of the step, from 0.
        steps: how many there are in all.
        warmup_steps: the first steps, over which the rate rises linearly from near 0.
        schedule: what follows; it sees the progress, from 0 to 1, of the steps after the warm-up.

    >>> [rate_at(step, steps=6, warmup_steps=2, schedule=constant) for step in range(4)]
    [0.5, 1.0, 1.0, 1.0]
    """
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    return schedule((step - warmup_steps) / max(1, steps - warmup_steps))


def growing_size(start: int, full: int, epochs: int) -> Callable[[int], int]:
    """Return the side of the pictures of each epoch, by its number from 0: it grows in the first 60 % of the epochs.

    Straight from `start`, in steps of `SIZE_STEP` pixels, so that few sizes occur.

    >>> [growing_size(20, 32, 8)(epoch) for epoch in range(8)]
    [20, 20, 24, 24, 28, 32, 32, 32]
    """

    def side(epoch: int) -> int:
        grown = start + (full - start) * epoch / (GROWING_SHARE * epochs)
        return full if grown >= full else min(full, start + int(grown - start) // SIZE_STEP * SIZE_STEP)

    return side


def same_until(size_at: Callable[[int], int] | None, epoch: int, epochs: int) -> int:
    """Return the first epoch after `epoch` with pictures of another size, at most `epochs`.

    >>> same_until(growing_size(20, 32, 8), 2, 8), same_until(None, 2, 8)
    (4, 8)
    """
    if size_at is None:
        return epochs
    return next((later for later in range(epoch + 1, epochs) if size_at(later) != size_at(epoch)), epochs)
