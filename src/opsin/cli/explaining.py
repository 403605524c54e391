"""What `opsin explain` does for each picture: explain it, draw the sheet, say what was found."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from opsin.catalog import choose
from opsin.cli.account import one_line
from opsin.cli.export import KerasFile
from opsin.errors import PictureError, UsageError
from opsin.explanation import COLORS, ON_A_LAYER
from opsin.explanation.charts import faithfulness_chart, sanity_chart
from opsin.explanation.explain import Explanation, Seen, explain_seen, look
from opsin.explanation.faithfulness import measure_faithfulness
from opsin.explanation.heat_maps import place_for
from opsin.explanation.network import ImageNetwork
from opsin.explanation.opening import open_network
from opsin.explanation.overlay import TITLES, draw_sheet
from opsin.explanation.sanity import check_sanity, verdict
from opsin.images.drawing import SAVED_AS, save_image

ALL, TOP = "all", "top3"
MOST = 40
"""Heat maps on one sheet."""


@dataclass(frozen=True, eq=False)
class Check:
    """How far one heat map can be believed: a sentence, its numbers, a chart."""

    name: str
    verdict: str
    numbers: dict[str, Any]
    chart: np.ndarray


@dataclass(frozen=True)
class Answer:
    """What came of one picture: explanations in a file, or an error."""

    picture: str
    seen: Seen | None = None
    class_names: tuple[str, ...] = ()
    explanations: Sequence[Explanation] = ()
    file: Path | None = None
    error: str | None = None
    checks: Sequence[Check] = ()
    boxes: bool = False

    def text(self) -> str:
        """Return it for the terminal."""
        if self.error is not None:
            return f"{one_line(self.picture)}  error: {one_line(self.error)}"
        best = ", ".join(f"{name} {share:.1%}" for name, share in self._top(3))
        lines = [f"{one_line(self.picture)}: {best}", *(_line(one, self.boxes) for one in self.explanations)]
        lines += [f"  {check.name}: {_numbers(check)}{check.verdict}" for check in self.checks]
        return "\n".join([*lines, f"  drawn in {self.file}"])

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        if self.error is not None:
            return {"picture": self.picture, "error": self.error}
        prediction = [{"class": name, "probability": round(share, 6)} for name, share in self._top(3)]
        return {
            "picture": self.picture,
            "prediction": prediction,
            "explanations": [_row(one, self.boxes) for one in self.explanations],
            "file": str(self.file),
            "checks": [{"of": one.name, "verdict": one.verdict, **one.numbers} for one in self.checks],
        }

    def _top(self, count: int) -> list[tuple[str, float]]:
        shares = self.seen.probabilities
        return [(self.class_names[i], float(shares[i])) for i in shares.argsort()[::-1][:count]]


@dataclass(frozen=True)
class Wanted:
    """What is to be explained of each picture.

    Args:
        methods: names in `opsin.explanation.EXPLAINERS`.
        classes: class names, `all` or `top3`; none: the most probable class.
        layer: the layer, for those of the methods that look at one.
        colors: one of `opsin.explanation.COLORS`.
        faithful: whether deletion and insertion are measured, too.
        sanity: whether weights are made random, too.
        boxes: whether the largest hot area gets a box.
    """

    methods: tuple[str, ...]
    classes: tuple[str, ...]
    layer: str | None
    colors: str
    faithful: bool = False
    sanity: bool = False
    boxes: bool = False

    def check(self, network: ImageNetwork) -> None:
        """Raise what is wrong with it before any picture is read."""
        choose("colours", self.colors, COLORS)
        for method in self.methods:
            place_for(network, method, self._layer(method))
        for name in self.classes:
            if name not in (ALL, TOP):
                network.class_index(name)
        count = len(self.methods) * (len(network.class_names) if ALL in self.classes else len(self.classes))
        if count > MOST:
            raise UsageError(
                f"Expected at most {MOST} heat maps on a sheet; {len(self.methods)} methods for these classes are "
                f"{count}. Name the classes, or give --class {TOP}."
            )

    def answer(self, network: ImageNetwork, picture: str, file: Path) -> Answer:
        """Explain one picture and draw it; one that cannot be read gives an answer with an error."""
        try:
            seen = look(network, picture)
        except PictureError as error:
            return Answer(picture, error=error.reason)
        indices = self._indices(network, seen)
        explanations = [
            one
            for method in self.methods
            for one in explain_seen(network, seen, [(method, i) for i in indices], layer=self._layer(method))
        ]
        checks = [check for one in explanations for check in self._checks(network, seen, one)]
        charts = [check.chart for check in checks]
        save_image(draw_sheet(explanations, colors=self.colors, below=charts, boxes=self.boxes), file)
        return Answer(picture, seen, network.class_names, explanations, file, checks=checks, boxes=self.boxes)

    def _checks(self, network: ImageNetwork, seen: Seen, one: Explanation) -> "Iterator[Check]":
        name = f"{one.class_name}, {TITLES[one.method]}"
        if one.peak <= 0:
            return
        if self.faithful:
            found = measure_faithfulness(network, seen.image, one.class_index, one.evidence)
            yield Check(
                name, found.verdict, {"faithfulness": found.areas}, faithfulness_chart(found, one.class_name, name)
            )
        if self.sanity:
            steps = check_sanity(network, seen.image, one.class_index, method=one.method, layer=one.layer)
            yield Check(name, verdict(steps), {"sanity": [asdict(step) for step in steps]}, sanity_chart(steps, name))

    def _layer(self, method: str) -> str | None:
        # Beside methods on a layer, those on pixels are not in its way.
        mixed = any(one in ON_A_LAYER for one in self.methods)
        return self.layer if method in ON_A_LAYER or not mixed else None

    def _indices(self, network: ImageNetwork, seen: Seen) -> list[int]:
        ranked = [int(i) for i in seen.probabilities.argsort()[::-1]]
        indices: list[int] = []
        for name in self.classes or (network.class_names[seen.best],):
            several = {ALL: ranked, TOP: ranked[:3]}
            # A class may be called so itself.
            named = name not in network.class_names and name in several
            indices += several[name] if named else [network.class_index(name)]
        return list(dict.fromkeys(indices))


def explain_each(
    open_network: Callable[[], ImageNetwork], pictures: Sequence[str], wanted: Wanted, out: Path | None
) -> Iterator[Answer]:
    """Explain picture by picture; what is wrong with the command is found before the network is opened."""
    files = places_for(pictures, out)
    network = open_network()
    wanted.check(network)
    return (wanted.answer(network, picture, file) for picture, file in zip(pictures, files, strict=True))


def open_model(model: Path, keras_file: KerasFile) -> ImageNetwork:
    """Open what the command line names.

    Raises:
        UsageError: a folder, which knows its classes and recipe, and options that say them.
    """
    if not model.is_file():
        if model.exists():
            keras_file.refuse()
        return open_network(model)
    return open_network(model, keras_file.describe(model), trust=keras_file.trust)


def places_for(pictures: Sequence[str], out: Path | None, kind: str = "why", *, exist: bool = True) -> list[Path]:
    """Return the file that each picture's sheet goes to.

    Args:
        pictures: the pictures.
        out: what the user chose: a file for one picture, a folder for several; None: here, under a new name.
        kind: what is put behind the picture's name.
        exist: whether they are files; otherwise only names for sheets.

    Raises:
        UsageError: a picture is not there, or a sheet would take the place of one.
    """
    for picture in pictures if exist else ():
        if not os.path.lexists(picture):
            raise UsageError(f"Expected pictures; nothing is there at {picture!r}. Check the path.")
    if out is not None and len(pictures) == 1:
        _require_file(out, pictures[0])
        return [out]
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"Expected a folder for several sheets; {str(out)!r} is a file. Choose another --out.")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for picture in pictures:
        stem = "-".join(filter(None, (Path(picture).stem, kind)))
        files.append(_free(out or Path(), stem, files))
    return files


def _require_file(out: Path, picture: str) -> None:
    choose("suffix of --out", out.suffix.lower(), SAVED_AS)
    if out.is_dir():
        raise UsageError(f"Expected a file for the sheet; {str(out)!r} is a folder. Choose another --out.")
    if out.exists() and os.path.lexists(picture) and out.samefile(picture):
        raise UsageError(f"Expected another file for the sheet; {str(out)!r} is the picture. Choose another --out.")


def _free(folder: Path, stem: str, taken: Sequence[Path]) -> Path:
    """Return a name that nothing has yet: nothing of the user's is overwritten unasked."""
    number = 1
    while True:
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.png"
        if path not in taken and not os.path.lexists(path):
            return path
        number += 1


def _line(one: Explanation, boxes: bool) -> str:
    where = f", layer {one.layer}" if one.layer else ""
    found = "no evidence for this class" if one.peak <= 0 else f"peak {one.peak:.4g}"
    box = one.box if boxes else None
    if box is not None:
        found += ", box from {:.0f}, {:.0f} to {:.0f}, {:.0f}".format(*box)
    return f"  {one.class_name} {one.probability:.1%}: {TITLES[one.method]}{where}, {found}"


def _numbers(check: Check) -> str:
    areas = check.numbers.get("faithfulness")
    if areas is None:
        return ""
    return (
        f"deletion {areas['deletion']:.2f} (random {areas['random_deletion']:.2f}), "
        f"insertion {areas['insertion']:.2f} (random {areas['random_insertion']:.2f}). "
    )


def _row(one: Explanation, boxes: bool) -> dict[str, Any]:
    box = one.box if boxes else None
    return {
        "class": one.class_name,
        "probability": round(one.probability, 6),
        "method": one.method,
        "layer": one.layer,
        "peak": one.peak,
        **({"box_xyxy": None if box is None else box.tolist()} if boxes else {}),
    }
