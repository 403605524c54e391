"""A small world of boxes, from whole-number arithmetic: the same on every machine."""

import json
from collections.abc import Callable

import pytest

World = tuple[dict, list[dict]]


@pytest.fixture(scope="session")
def small_world() -> Callable[[int], World]:
    """Return true boxes and predictions as COCO's JSON has them: crowds, equal scores, many boxes in a picture."""

    def make(seed: int) -> World:
        state = seed

        def draw(n: int) -> int:
            nonlocal state
            state = (state * 1103515245 + 12345) % 2**31
            return (state >> 12) % n

        pictures = [{"id": 5 * i + 2, "height": 300, "width": 400, "file_name": f"{i}.png"} for i in (3, 0, 2, 1, 4, 5)]
        truth, found = [], []
        for picture in pictures[:5]:
            for _ in range(6 + draw(12)):
                box = [draw(300), draw(200), 4 + draw(40) * (1 + draw(4)), 4 + draw(40) * (1 + draw(4))]
                category = (4, 9, 2)[draw(3)]
                truth.append(
                    {"id": len(truth) + 1, "image_id": picture["id"], "category_id": category, "bbox": box}
                    | {"area": box[2] * box[3] * (7 + draw(4)) / 10, "iscrowd": int(draw(8) == 0)}
                )
                for _ in range(draw(4)):
                    moved = [side + (draw(9) - 4) * max(1, box[2] // 20) * draw(2) for side in box]
                    row = {"image_id": picture["id"], "category_id": (category, 4)[draw(6) == 0]}
                    found.append(
                        row | {"bbox": [*moved[:2], max(1, moved[2]), max(1, moved[3])], "score": draw(20) / 20}
                    )
        names = ((9, "dog"), (2, "cat"), (4, "bird"), (1, "ox"))
        categories = [{"id": number, "name": name} for number, name in names]
        return {"images": pictures, "categories": categories, "annotations": truth}, found

    return make


@pytest.fixture
def written(tmp_path):
    """Write a world to files and read them: `written(truth, predictions)` gives `TrueBoxes` and `FoundBoxes`."""
    from opsin.detection.coco import read_coco, read_coco_predictions

    def write(truth: dict, predictions: list):
        (tmp_path / "truth.json").write_text(json.dumps(truth))
        (tmp_path / "predictions.json").write_text(json.dumps(predictions))
        true = read_coco(tmp_path / "truth.json")
        return true, read_coco_predictions(tmp_path / "predictions.json", true)

    return write


@pytest.fixture
def one_class(written):
    """Make a world of one class: true boxes `(picture, [x, y, w, h])`, found ones with their scores behind."""

    def make(truth: list, found: list, **fields):
        number = 1 + max([picture for picture, *_ in (*truth, *found)], default=0)
        document = {
            "images": [{"id": i, "height": 100, "width": 100, "file_name": f"{i}.png"} for i in range(number)],
            "categories": [{"id": 1, "name": "cat"}],
            "annotations": [
                {"id": i + 1, "image_id": picture, "category_id": 1, "bbox": box, **fields.get(f"box_{i}", {})}
                for i, (picture, box) in enumerate(truth)
            ],
        }
        rows = [{"image_id": p, "category_id": 1, "bbox": box, "score": score} for p, box, score in found]
        return written(document, rows)

    return make
