"""How fast boxes are: suppression beside TensorFlow's, an IoU matrix beside a broadcast by hand, AP beside pycocotools.

The rivals are measured in the same rounds, and must give the same answers. TensorFlow's time includes taking NumPy
arrays and giving one back. The IoU matrix has two rivals: the broadcast that everyone writes, corners as pairs, and one
side by side, which is faster and takes less memory. Memory is what Python's allocator had at its peak, the answer
included; the answer is what nobody can do without, so what is used beside it is stated too. AP needs pycocotools
(`pip install pycocotools`), goes from two JSON files to twelve numbers, and takes true boxes, moved about, as found.
"""

import contextlib
import io
import json
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.detection.average_precision import coco_measures
from opsin.detection.coco import read_coco, read_coco_predictions
from opsin.detection.overlap import overlap_matrix
from opsin.detection.suppression import Suppression, suppress

BOXES, MANY, SIDE = 10_000, 100_000, 5_000
STATS = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")
STATS += ("ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large")


def spread_boxes(n: int, side: float = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Boxes anywhere: most stay."""
    random = np.random.default_rng(0)
    corner, sides = random.random((n, 2)) * side, random.random((n, 2)) * 80 + 5
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), random.random(n).astype(np.float32)


def crowded_boxes(n: int, side: float = 1000) -> tuple[np.ndarray, np.ndarray]:
    """Boxes about 300 things, as a network gives them: most go."""
    random = np.random.default_rng(1)
    of = random.integers(0, 300, n)
    corner = (random.random((300, 2)) * side)[of] + random.normal(0, 5, (n, 2))
    sides = (30 + 100 * random.random((300, 2)))[of] * np.exp(random.normal(0, 0.1, (n, 2)))
    return np.concatenate([corner, corner + sides], axis=1).astype(np.float32), random.random(n).astype(np.float32)


def corners_as_pairs(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    sides = np.clip(high - low, 0, None)
    shared = sides[..., 0] * sides[..., 1]
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (a, b)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def side_by_side(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    width = np.clip(np.minimum(a[:, None, 2], b[:, 2]) - np.maximum(a[:, None, 0], b[:, 0]), 0, None)
    height = np.clip(np.minimum(a[:, None, 3], b[:, 3]) - np.maximum(a[:, None, 1], b[:, 1]), 0, None)
    shared = width * height
    areas = [(one[:, 2] - one[:, 0]) * (one[:, 3] - one[:, 1]) for one in (a, b)]
    return shared / (areas[0][:, None] + areas[1] - shared)


def seconds(call: Callable[[], Any]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def peak(call: Callable[[], Any]) -> float:
    """Return the most memory that a call had at once, in MiB."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most / 2**20


def beside(
    result: Result,
    what: str,
    ours: Callable[[], Any],
    theirs: Callable[[], Any],
    rounds: int,
    *,
    rival: str,
    goal: float,
) -> None:
    """Measure two calls in turns, and what the one takes of the other."""
    ours(), theirs()
    times = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    own, others = (1000 * np.array(column) for column in zip(*times, strict=True))
    result.series += [Series(f"{what}, Opsin", "ms", own.tolist()), Series(f"{what}, {rival}", "ms", others.tolist())]
    share = Series("", "", ratios(own.tolist(), others.tolist())).median
    result.figures.append(Figure(f"{what}: time by that of {rival}", share, at_most=goal))


def suppression(result: Result, rounds: int) -> None:
    import tensorflow as tf

    for name, boxes, scores in (("spread", *spread_boxes(BOXES)), ("crowded", *crowded_boxes(BOXES))):
        for most in (None, 100):
            settings, limit = Suppression(max_boxes=most), most or BOXES

            def ours(boxes=boxes, scores=scores, settings=settings):
                return suppress(boxes, scores, settings, format="yxyx").indices

            def theirs(boxes=boxes, scores=scores, limit=limit):
                return tf.image.non_max_suppression(boxes, scores, limit, 0.5).numpy()

            np.testing.assert_array_equal(ours(), theirs())
            what = f"{BOXES:,} boxes, {name}, {'all' if most is None else f'the best {most}'}"
            beside(result, what, ours, theirs, rounds, rival="TensorFlow", goal=1.0)


def many(result: Result) -> None:
    for name, (boxes, scores) in (("spread", spread_boxes(MANY)), ("crowded", crowded_boxes(MANY))):
        for method in ("greedy", "matrix_gaussian"):
            settings = Suppression(method)
            taken = seconds(lambda b=boxes, s=scores, to=settings: suppress(b, s, to, format="xyxy"))
            most = peak(lambda b=boxes, s=scores, to=settings: suppress(b, s, to, format="xyxy"))
            result.figures += [
                Figure(f"{MANY:,} boxes, {name}, {method}", taken, "s"),
                Figure(f"{MANY:,} boxes, {name}, {method}: peak memory", most, "MiB", at_most=100),
            ]


def matrix(result: Result, rounds: int) -> None:
    first, second = (spread_boxes(SIDE)[0].astype(np.float64), crowded_boxes(SIDE)[0].astype(np.float64))

    def ours():
        return overlap_matrix(first, second, format="xyxy")

    own, answer = peak(ours), SIDE * SIDE * 8 / 2**20
    result.figures.append(Figure("IoU matrix: peak memory, Opsin", own, "MiB"))
    for rival in (corners_as_pairs, side_by_side):
        name = rival.__name__.replace("_", " ")
        np.testing.assert_array_equal(ours(), rival(first, second))
        what = f"IoU matrix of {SIDE:,} × {SIDE:,}"
        beside(result, what, ours, lambda f=rival: f(first, second), rounds, rival=name, goal=1.5)
        most = peak(lambda f=rival: f(first, second))
        result.figures += [
            Figure(f"IoU matrix: peak memory, {name}", most, "MiB"),
            Figure(
                f"IoU matrix: memory by that of {name}, the answer left out",
                (own - answer) / (most - answer),
                at_most=0.1,
            ),
            Figure(f"IoU matrix: memory by that of {name}, the answer included", own / most),
        ]


def perturbed(truth: Path, out: Path) -> None:
    """Write the true boxes, moved about, some more than once, some of another class, and some where nothing is."""
    document, random = json.loads(truth.read_text()), np.random.default_rng(0)
    classes = [one["id"] for one in document["categories"]]
    rows = []
    for one in document["annotations"]:
        for _ in range(random.integers(0, 4)):
            x, y, w, h = one["bbox"]
            by = random.choice([0.02, 0.1, 0.3])
            shift = random.normal(0, by, 4)
            box = [x + shift[0] * w, y + shift[1] * h, w * np.exp(shift[2]), h * np.exp(shift[3])]
            label = one["category_id"] if random.random() < 0.9 else int(random.choice(classes))
            rows.append({"image_id": one["image_id"], "category_id": label, "bbox": box, "score": random.random()})
    for image in document["images"]:
        box = (random.random(4) * 100).tolist()
        rows.append({"image_id": image["id"], "category_id": classes[0], "bbox": box, "score": random.random() / 2})
    out.write_text(json.dumps(rows))


def precision(result: Result, truth: Path, rounds: int) -> None:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "predictions.json"
        perturbed(truth, found)

        def ours():
            boxes = read_coco(truth)
            return coco_measures(boxes, read_coco_predictions(found, boxes))

        def theirs():
            with contextlib.redirect_stdout(io.StringIO()):
                true = COCO(str(truth))
                judged = COCOeval(true, true.loadRes(str(found)), "bbox")
                judged.evaluate(), judged.accumulate(), judged.summarize()
            return judged.stats

        own = ours()
        values = [-1.0 if getattr(own, name) is None else getattr(own, name) for name in STATS]
        apart = float(np.abs(np.array(values) - theirs()).max())
        result.figures.append(Figure("AP and AR: furthest from pycocotools", apart, at_most=1e-6))
        what = f"AP of {truth.parent.name}, from files"
        beside(result, what, ours, theirs, rounds, rival="pycocotools", goal=1.0)


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--truth", type=Path, required=True, help="COCO's JSON of true boxes")
    parser.add_argument("--rounds", type=int, default=9, help="rounds of each comparison (default: 9)")
    options = parser.parse_args()
    settings = {"rounds": options.rounds, "truth": options.truth.parent.name}
    result = Result("detection", "python -m benchmarks.detection --truth FILE", settings)
    precision(result, options.truth, options.rounds)
    matrix(result, options.rounds)
    many(result)
    suppression(result, options.rounds)
    result.publish(options.results)


if __name__ == "__main__":
    main()
