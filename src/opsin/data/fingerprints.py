"""Perceptual fingerprints: finding pictures that are nearly the same, among many, in about n log n time.

Two steps. Candidates: 64-bit hashes of the lowest frequencies (pHash; Zauner 2010, "Implementation and benchmarking of
perceptual image hash functions", section 3.2.1), sorted again and again with their bits in another order; pictures
that are alike stand side by side in some of the orders. Confirmation: the thumbnails of a candidate pair, one of them
cropped a little where that fits better, have to agree point by point. Mirror images count as different.
"""

from collections.abc import Iterator

import numpy as np

FINDER = 2
"""Of what counts as nearly the same; another one finds other pairs."""

THUMBNAIL = 32
"""Height and width in pixels of the grey thumbnails that everything here works on."""

_FREQUENCIES = 8
_ORDERS = 32
_NEIGHBOURS = 3
_MOST_BITS = 8
"""Of 64: hashes that differ in more are not looked at further."""

_MOST_CANDIDATES, _ALWAYS_LOOKED_AT = 16, 100_000
"""For each picture, and at all: about 30 microseconds each."""

_LEAST_DEVIATION = 4.0
"""Of 255: what is flatter looks like everything that is as flat."""

_LEAST_CORRELATION = 0.975
_LARGEST_DIFFERENCE = 0.45
"""Of a thumbnail's deviation: how far a block of it may be off, root mean square, once level and contrast are equal."""

_BLOCKS = 4

_POSSIBLE, _SURE = 0.8, 0.98
"""Correlation of details: of pictures that may be the same, and of those that are. Of photos and their copies (JPEG of
quality 40, half the size, 10 % brighter), all are above the second; with 5 % cut off, 98 %. Among 8,000 pieces of
clothing at 28 pixels, alike in outline, 7 pairs are above it, one of them a copy."""

_LARGEST_GROUP = 8
"""Copies of one picture that are not out of the ordinary."""

_CROPS = (0.0, 0.025, 0.05, 0.075)
"""How much of a side may be cut off, as a fraction of it, on both sides together or on one."""

_CHUNK = 4096


def hashes(thumbnails: np.ndarray) -> np.ndarray:
    """Return the perceptual hashes of pictures.

    Args:
        thumbnails: uint8 (n, 32, 32), grey, 0 to 255.

    Returns:
        uint8 (n, 8): 64 bits each.
    """
    transform = _cosines(THUMBNAIL)[: _FREQUENCIES + 1]
    found = [np.empty((0, 8), dtype=np.uint8)]
    for start in range(0, len(thumbnails), _CHUNK):
        frequencies = transform @ thumbnails[start : start + _CHUNK].astype(np.float32) @ transform.T
        # Without the mean, and the 64 lowest of what is left: brightness and contrast change no sign.
        low = frequencies[:, 1:, 1:].reshape(len(frequencies), -1)
        found.append(np.packbits(low > np.median(low, axis=1, keepdims=True), axis=1))
    return np.concatenate(found)


def near_duplicates(thumbnails: np.ndarray) -> np.ndarray:
    """Return the pairs of pictures that are nearly the same.

    Re-encoded, resized, a little brighter, or cropped by up to about 7 % of a side. Flat pictures, in which there is
    nothing to compare, are in no pair.

    Args:
        thumbnails: uint8 (n, 32, 32), grey, 0 to 255: the whole picture, each side scaled on its own.

    Returns:
        int64 (m, 2), row numbers, the smaller first, sorted; without repetition.
    """
    clear = np.flatnonzero(thumbnails.std(axis=(1, 2)) >= _LEAST_DEVIATION)
    candidates = clear[_candidates(thumbnails[clear])]
    likeness = _likeness(thumbnails, candidates)
    sure = likeness >= _SURE
    possible = likeness >= _POSSIBLE
    # Silhouettes of trousers are alike by nature, each with many others: there, being alike in outline tells nothing.
    return candidates[sure if _melt(candidates[possible], len(thumbnails)) else possible]


def _melt(pairs: np.ndarray, count: int) -> bool:
    """Tell whether most of the pictures in pairs are in large groups, as copies hardly ever are."""
    sizes = np.bincount(groups_of(pairs, count), minlength=1)
    return sizes[sizes > _LARGEST_GROUP].sum() > sizes[sizes > 1].sum() / 2


def groups_of(pairs: np.ndarray, count: int) -> np.ndarray:
    """Return int64 (count,), for each row the smallest row that it is connected with by pairs; itself if with none.

    >>> groups_of(np.array([[0, 3], [3, 4]]), 6).tolist()
    [0, 1, 2, 0, 0, 5]
    """
    parent = np.arange(count)

    def find(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for first, second in pairs:
        low, high = sorted((find(int(first)), find(int(second))))
        parent[high] = low
    return np.array([find(row) for row in range(count)], dtype=np.int64)


def _candidates(thumbnails: np.ndarray) -> np.ndarray:
    """Return int64 (m, 2), pairs of rows that may be the same picture, nearly all there are and some others."""
    count = len(thumbnails)
    if count < 2:
        return np.empty((0, 2), dtype=np.int64)
    whole = hashes(thumbnails)
    # A cropped copy has the hash of the picture, cropped in the same way: it is looked up among the whole ones.
    wanted = [whole, *(hashes(_cropped(thumbnails, rows, columns)) for rows, columns in _LOOKED_UP)]
    flags = [np.unpackbits(bits, axis=1) for bits in wanted]
    numbers = [bits.view(np.uint64).ravel() for bits in wanted]
    random = np.random.default_rng(0)
    keys = np.empty(0, dtype=np.int64)
    for _ in range(_ORDERS):
        shuffle = random.permutation(64)
        sortable = [_sortable(one[:, shuffle]) for one in flags]
        order = np.argsort(sortable[0], kind="stable")
        found = [
            _keys(order, np.searchsorted(sortable[0][order], keys_of), number, numbers[0])
            for keys_of, number in zip(sortable, numbers, strict=True)
        ]
        keys = np.unique(np.concatenate([keys, *found]))
    pairs = np.stack([keys // count, keys % count], axis=1)
    if len(pairs) <= max(_MOST_CANDIDATES * count, _ALWAYS_LOOKED_AT):
        return pairs
    # Pictures of a kind that look alike by nature have very many: those that are most alike are looked at.
    bits = _count_bits(numbers[0][pairs[:, 0]] ^ numbers[0][pairs[:, 1]])
    return pairs[np.sort(np.argsort(bits, kind="stable")[: max(_MOST_CANDIDATES * count, _ALWAYS_LOOKED_AT)])]


def _sortable(flags: np.ndarray) -> np.ndarray:
    """Return uint64 (n,), whose order is that of the bits (n, 64), the first one counting most."""
    return np.ascontiguousarray(np.packbits(flags, axis=1)).view(">u8").ravel().astype(np.uint64)


def _keys(order: np.ndarray, places: np.ndarray, wanted: np.ndarray, whole: np.ndarray) -> np.ndarray:
    """Return pairs of what is looked up and what stands near its place, alike in most bits, as first × n + second."""
    count, rows = len(order), np.arange(len(order))
    found = []
    for distance in range(-_NEIGHBOURS, _NEIGHBOURS + 1):
        others = order[np.clip(places + distance, 0, count - 1)]
        alike = (_count_bits(wanted ^ whole[others]) <= _MOST_BITS) & (others != rows)
        low, high = np.minimum(rows[alike], others[alike]), np.maximum(rows[alike], others[alike])
        found.append(low * count + high)
    return np.unique(np.concatenate(found))


def _count_bits(numbers: np.ndarray) -> np.ndarray:
    """Return how many bits of each uint64 are set."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(numbers)
    # NumPy 1.26 has no such function.
    return np.unpackbits(numbers.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)


def _cropped(thumbnails: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    parts = [thumbnails[start : start + _CHUNK] for start in range(0, len(thumbnails), _CHUNK)]
    return np.concatenate([np.rint(rows @ part.astype(np.float32) @ columns.T).astype(np.uint8) for part in parts])


def _likeness(thumbnails: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return float32 (m,), how alike pairs are in detail, one cropped a little if need be; −1 if not even roughly.

    The correlation, at 16 × 16 points, of what is left when each point's surroundings are taken away.

    Args:
        thumbnails: uint8 (n, 32, 32).
        pairs: int (m, 2), rows of these.
    """
    shown, pairs = np.unique(pairs, return_inverse=True)
    pairs, thumbnails = pairs.reshape(-1, 2), thumbnails[shown]
    likeness = np.full(len(pairs), -1, dtype=np.float32)
    whole = _points(thumbnails, *next(_crops()))
    # Where pictures look alike, each is in many pairs: it is cropped once, not once for each of them.
    for crop in _crops():
        cropped = _points(thumbnails, *crop)
        for one, other in (pairs.T, pairs.T[::-1]):
            unsure = np.flatnonzero(likeness < _SURE)
            for rows in (unsure[start : start + _CHUNK] for start in range(0, len(unsure), _CHUNK)):
                found = _likeness_as_they_are(cropped[one[rows]], whole[other[rows]])
                likeness[rows] = np.maximum(likeness[rows], found)
    return likeness


def _points(thumbnails: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Return float32 (n, 16, 16), thumbnails cut and stretched by two matrices, of mean 0 and deviation 1.

    Averages of four points: what a crop between two points blurs is blurred in both.
    """
    rows, columns = (rows[::2] + rows[1::2]) / 2, (columns[::2] + columns[1::2]) / 2
    points = np.empty((len(thumbnails), len(rows), len(columns)), dtype=np.float32)
    for start in range(0, len(thumbnails), _CHUNK):
        part = thumbnails[start : start + _CHUNK].astype(np.float32)
        points[start : start + _CHUNK] = _standardized(rows @ part @ columns.T)
    return points


def _likeness_as_they_are(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return float32 (m,), how alike pairs of `_points` are in detail; −1 if not even roughly."""
    likeness = np.full(len(first), -1, dtype=np.float32)
    correlation = np.einsum("nhw,nhw->n", first, second) / np.prod(first.shape[1:])
    alike = np.flatnonzero(correlation >= _LEAST_CORRELATION)
    alike = alike[_worst_block(first[alike], second[alike]) <= _LARGEST_DIFFERENCE]
    details = _standardized(_details(first[alike])) * _standardized(_details(second[alike]))
    likeness[alike] = details.mean(axis=(1, 2))
    return likeness


def _worst_block(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return (m,), the difference, root mean square, of the block that differs most.

    Where most is alike (white paper, say) and a part is not, it tells.
    """
    side = first.shape[1] // _BLOCKS
    blocks = ((first - second) ** 2).reshape(-1, _BLOCKS, side, _BLOCKS, side)
    return np.sqrt(blocks.mean(axis=(2, 4)).max(axis=(1, 2)))


def _details(points: np.ndarray) -> np.ndarray:
    """Return what is left of each point when the mean of the nine around it is taken away."""
    padded = np.pad(points, ((0, 0), (1, 1), (1, 1)), mode="edge")
    side = points.shape[1]
    return points - sum(padded[:, i : i + side, j : j + side] for i in range(3) for j in range(3)) / 9


def _standardized(points: np.ndarray) -> np.ndarray:
    points = points - points.mean(axis=(1, 2), keepdims=True)
    return points / np.maximum(points.std(axis=(1, 2), keepdims=True), 1e-6)


def _crops() -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield matrices for rows and columns that cut a thumbnail and stretch it again; nothing cut off comes first."""
    yield np.eye(THUMBNAIL, dtype=np.float32), np.eye(THUMBNAIL, dtype=np.float32)
    for cut in _CROPS[1:]:
        both = _stretch(cut / 2, 1 - cut / 2), _stretch(cut, 1 - cut)
        corners = _stretch(0, 1 - cut), _stretch(cut, 1)
        yield from ((matrix, matrix) for matrix in both)
        yield from ((rows, columns) for rows in corners for columns in corners)


def _stretch(start: float, end: float) -> np.ndarray:
    """Return float32 (32, 32), what turns a row of points into the part from start to end of it, interpolated."""
    centers = (np.arange(THUMBNAIL) + 0.5) / THUMBNAIL * (end - start) + start
    places = np.clip(centers * THUMBNAIL - 0.5, 0, THUMBNAIL - 1)
    below = np.minimum(places.astype(int), THUMBNAIL - 2)
    matrix = np.zeros((THUMBNAIL, THUMBNAIL), dtype=np.float32)
    rows = np.arange(THUMBNAIL)
    matrix[rows, below] = 1 - (places - below)
    matrix[rows, below + 1] = places - below
    return matrix


def _cosines(count: int) -> np.ndarray:
    """Return float32 (count, count), the rows of the discrete cosine transform (type II)."""
    numbers = np.arange(count)
    return np.cos(np.pi / count * np.outer(numbers, numbers + 0.5)).astype(np.float32)


_LOOKED_UP = [(matrix, matrix) for matrix in (_stretch(0.025, 0.975), _stretch(0.05, 0.95))]
_LOOKED_UP += [
    (rows, columns)
    for rows in (_stretch(0, 0.95), _stretch(0.05, 1))
    for columns in (_stretch(0, 0.95), _stretch(0.05, 1))
]
"""Crops of 5 % and 10 % all round, and of 5 % at two sides: what lies between is near enough to one of them."""
