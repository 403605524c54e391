"""Connected areas of a mask, by the runs of pixels in its rows."""

import numpy as np


def runs_of(pixels: np.ndarray) -> np.ndarray:
    """Return int64 (n, 3): row, first and last column (exclusive) of each run of true pixels (H, W), from the top."""
    steps = np.diff(np.pad(pixels, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, first = np.nonzero(steps == 1)
    return np.column_stack([rows, first, np.nonzero(steps == -1)[1]])


def connect_runs(runs: np.ndarray) -> np.ndarray:
    """Return int64 (n,): a number for each run, the same for those that touch by their sides, not their corners."""
    # Union by the lower one.
    parents = list(range(len(runs)))

    def root(one: int) -> int:
        while parents[one] != one:
            parents[one] = parents[parents[one]]
            one = parents[one]
        return one

    spans, above = runs.tolist(), 0
    for below, (row, first, last) in enumerate(spans):
        while spans[above][0] < row - 1 or (spans[above][0] == row - 1 and spans[above][2] <= first):
            above += 1
        other = above
        while other < below and spans[other][0] == row - 1 and spans[other][1] < last:
            low, high = sorted((root(other), root(below)))
            parents[high] = low
            other += 1
    return np.array([root(one) for one in range(len(runs))])
