"""What `opsin explain` does for each picture: explain it, draw the sheet, say what was found."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsin.catalog import choose
from opsin.cli.account import one_line
from opsin.errors import PictureError, UsageError
from opsin.explanation import COLORS, ON_A_LAYER
from opsin.explanation.explain import Explanation, Seen, explain_seen, look
from opsin.explanation.heat_maps import place_for
from opsin.explanation.network import ImageNetwork
from opsin.explanation.opening import open_network
from opsin.explanation.overlay import TITLES, draw_sheet
from opsin.exporters.foreign import Description, read_class_names
from opsin.images.drawing import SAVED_AS, save_image

ALL, TOP = "all", "top3"
MOST = 40
"""Heat maps on one sheet."""


@dataclass(frozen=True)
class KerasFile:
    """What the command line says of a `.keras` file."""

    classes: Path | None
    pixels: str | None
    fit: str
    image_size: int | None
    trust: bool


@dataclass(frozen=True)
class Answer:
    """What came of one picture: explanations in a file, or an error."""

    picture: str
    seen: Seen | None = None
    class_names: tuple[str, ...] = ()
    explanations: Sequence[Explanation] = ()
    file: Path | None = None
    error: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """Return it for the terminal."""
        if self.error is not None:
            return f"{one_line(self.picture)}  error: {one_line(self.error)}"
        best = ", ".join(f"{name} {share:.1%}" for name, share in self._top(3))
        lines = [f"{one_line(self.picture)}: {best}", *map(_line, self.explanations)]
        return "\n".join([*lines, f"  drawn in {self.file}"])

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        if self.error is not None:
            return {"picture": self.picture, "error": self.error}
        prediction = [{"class": name, "probability": round(share, 6)} for name, share in self._top(3)]
        return {
            "picture": self.picture,
            "prediction": prediction,
            "explanations": list(map(_row, self.explanations)),
            "file": str(self.file),
            **self.more,
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
    """

    methods: tuple[str, ...]
    classes: tuple[str, ...]
    layer: str | None
    colors: str

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
        save_image(draw_sheet(explanations, colors=self.colors), file)
        return Answer(picture, seen, network.class_names, explanations, file)

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


def open_model(model: Path, keras_file: KerasFile) -> ImageNetwork:
    """Open what the command line names.

    Raises:
        UsageError: a folder, which knows its classes and recipe, and options that say them.
    """
    if not model.is_file():
        if keras_file.classes is not None or keras_file.pixels is not None:
            raise UsageError(
                "Expected --classes and --preprocess only with a .keras file: a model folder knows its own. Leave "
                "them out."
            )
        return open_network(model)
    if keras_file.classes is None:
        raise UsageError(f"Expected the names of the classes of {str(model)!r}. Give --classes FILE, a name a line.")
    names = read_class_names(keras_file.classes)
    description = Description(names, keras_file.pixels, keras_file.fit, keras_file.image_size)
    return open_network(model, description, trust=keras_file.trust)


def places_for(pictures: Sequence[str], out: Path | None) -> list[Path]:
    """Return the file that each picture's sheet goes to.

    Raises:
        UsageError: a picture is not there, or a sheet would take the place of one.
    """
    for picture in pictures:
        if not os.path.lexists(picture):
            raise UsageError(f"Expected pictures; nothing is there at {picture!r}. Check the path.")
    if out is not None and len(pictures) == 1:
        choose("suffix of --out", out.suffix.lower(), SAVED_AS)
        if out.is_dir():
            raise UsageError(f"Expected a file for the sheet; {str(out)!r} is a folder. Choose another --out.")
        if out.exists() and out.samefile(pictures[0]):
            raise UsageError(f"Expected another file for the sheet; {str(out)!r} is the picture. Choose another --out.")
        return [out]
    if out is not None and out.exists() and not out.is_dir():
        raise UsageError(f"Expected a folder for several sheets; {str(out)!r} is a file. Choose another --out.")
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    files: list[Path] = []
    for picture in pictures:
        files.append(_free(out or Path(), f"{Path(picture).stem}-why", files))
    return files


def _free(folder: Path, stem: str, taken: Sequence[Path]) -> Path:
    """Return a name that nothing has yet: nothing of the user's is overwritten unasked."""
    number = 1
    while True:
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}.png"
        if path not in taken and not os.path.lexists(path):
            return path
        number += 1


def _line(one: Explanation) -> str:
    where = f", layer {one.layer}" if one.layer else ""
    found = "no evidence for this class" if one.peak <= 0 else f"peak {one.peak:.4g}"
    return f"  {one.class_name} {one.probability:.1%}: {TITLES[one.method]}{where}, {found}"


def _row(one: Explanation) -> dict[str, Any]:
    return {
        "class": one.class_name,
        "probability": round(one.probability, 6),
        "method": one.method,
        "layer": one.layer,
        "peak": one.peak,
    }
