"""Random numbers that depend on (seed, epoch, index, name) and on nothing else.

A NumPy generator a picture costs 15 µs, more than moving a 32×32 picture does. Counting instead of stepping
gives the numbers of a whole batch in a few array operations, the same in any order, batch size or thread.
"""

import zlib

import numpy as np

# The constants of splitmix64: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators",
# OOPSLA 2014.
_STEP = 0x9E3779B97F4A7C15


class Draws:
    """The random numbers of some pictures in one epoch.

    Args:
        seed: the training's seed, 0 or more.
        epoch: the epoch's number, 0 or more.
        indices: integer (N,), the pictures' row numbers in the training set, 0 or more.

    >>> some, other = Draws(0, 3, [7, 8, 9]), Draws(0, 3, [9])
    >>> bool(some.uniform("rotation")[2] == other.uniform("rotation")[0])
    True
    """

    def __init__(self, seed: int, epoch: int, indices: np.ndarray):
        self.seed, self.epoch, self.indices = seed, epoch, indices
        start = np.array([seed], dtype=np.uint64)
        self._states = _output(_output(start, epoch), np.asarray(indices).astype(np.uint64))

    def uniform(self, name: str, low: float = 0.0, high: float = 1.0) -> np.ndarray:
        """Return one number for each picture.

        Args:
            name: what is drawn; each name has its own numbers, so a new one disturbs none of the others.
            low: the least value.
            high: the bound from above.

        Returns:
            float64 (N,), from `low` up to and without `high`.
        """
        bits = _output(self._states, zlib.crc32(name.encode()))
        return low + (high - low) * ((bits >> 11) * 2.0**-53)

    def integer(self, name: str, low: int, high: int) -> np.ndarray:
        """Return one whole number for each picture: float64 (N,), from `low` to `high`, both included."""
        return np.floor(self.uniform(name, low, high + 1))

    @property
    def of_first_epoch(self) -> "Draws":
        """The same pictures' numbers in epoch 0: what is drawn from them holds for the whole training."""
        return Draws(self.seed, 0, self.indices)

    def every_other_epoch(self, name: str) -> np.ndarray:
        """Return for each picture whether it is its turn: bool (N,), true in one of any two epochs that follow."""
        return (self.of_first_epoch.uniform(name) < 0.5) ^ (self.epoch % 2 == 1)

    def noise(self, name: str, position: int, shape: tuple[int, ...]) -> np.ndarray:
        """Return as many values as wanted for the picture at `position` in the batch: uint8 of that shape."""
        size = int(np.prod(shape))
        state = _output(self._states[[position]], zlib.crc32(name.encode()))
        words = _output(state, np.arange(-(-size // 8), dtype=np.uint64))
        # Little-endian by decree, so that every machine gives the same bytes.
        return words.astype("<u8").view(np.uint8)[:size].reshape(shape)


def _output(states: np.ndarray, counter: int | np.ndarray) -> np.ndarray:
    """Return output number `counter` of the splitmix64 streams that start at `states`, all uint64."""
    x = states + (np.asarray(counter, dtype=np.uint64) + np.ones(1, dtype=np.uint64)) * _STEP
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB
    return x ^ (x >> 31)
