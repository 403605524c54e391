"""`opsin export`: a model in another format, proved equal."""

import json
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.errors import UsageError
from opsin.exporters import FORMATS, IN_INT8, PAGES
from opsin.names import MODEL

if TYPE_CHECKING:
    from opsin.exporters.foreign import Description

# What `opsin.exporters.foreign` takes; a test holds them equal, since help must not wait for Keras.
RANGES = ("none", "zero_one", "minus_one_one", "standardized", "centered_bgr")

EXAMPLES = (
    "opsin export RUN --format onnx",
    "opsin export RUN --format litert --int8",
    "opsin export RUN --format saved_model --out models/flowers",
    "opsin export RUN --format openvino --int8 --data photos/",
    "opsin export RUN --format browser --ort-web package/",
    "opsin export my.keras --classes labels.txt --preprocess zero_one --format onnx",
)


@dataclass(frozen=True)
class KerasFile:
    """What the command line says of a `.keras` file; None of what it does not say."""

    classes: Path | None
    preprocess: str | None
    fit: str | None
    image_size: int | None
    trust: bool

    def describe(self, path: Path) -> "Description":
        """Return it as the file's description.

        Raises:
            UsageError: the names of its classes are not said.
        """
        from opsin.exporters.foreign import Description, read_class_names

        if self.classes is None:
            raise UsageError(f"Expected the names of the classes of {str(path)!r}. Give --classes FILE, a name a line.")
        fit = {} if self.fit is None else {"fit": self.fit}
        return Description(read_class_names(self.classes), self.preprocess, image_size=self.image_size, **fit)

    def refuse(self) -> None:
        """Refuse it of a run or a model folder.

        Raises:
            UsageError: something is said.
        """
        given = [f"--{name.replace('_', '-')}" for name, value in vars(self).items() if value not in (None, False)]
        if given:
            raise UsageError(
                f"Expected {', '.join(given)} only with a .keras file: a model folder knows its own. Leave "
                f"{'them' if len(given) > 1 else 'it'} out."
            )


def export(
    model: Path = typer.Argument(
        metavar="MODEL", help="A run folder, a model folder, or any image network as a .keras file."
    ),
    format: str = typer.Option(..., help=f"Which: {', '.join((*FORMATS, *PAGES))}."),
    int8: bool = typer.Option(False, "--int8", help=f"Compute in 8-bit integers ({', '.join((*IN_INT8, *PAGES))})."),
    with_features: bool = typer.Option(
        False,
        "--with-features",
        help="Give features as a second output, by which predict --unknown tells pictures of other kinds.",
    ),
    out: Path | None = typer.Option(
        None, help="The folder to write (default: exports/FORMAT in the run); of a saved_model, that of all versions."
    ),
    data: Path | None = typer.Option(
        None, help="Pictures to prove it on, and to calibrate 8-bit integers with (default: the training data)."
    ),
    classes: Path | None = typer.Option(
        None, help="Of a .keras file: a text file with a class name a line, in the order of its outputs."
    ),
    preprocess: str | None = typer.Option(
        None, help=f"Of a .keras file: the range that it takes: {', '.join(RANGES)}."
    ),
    fit: str | None = typer.Option(
        None, help="Of a .keras file: how pictures become its size: stretch, crop, pad (default: stretch)."
    ),
    image_size: int | None = typer.Option(None, min=1, help="Of a .keras file that takes any size: which, in pixels."),
    ort_web: Path | None = typer.Option(
        None, help="For browser: the unpacked npm package onnxruntime-web, whose files are copied beside the page."
    ),
    trust: bool = typer.Option(False, "--trust", help="Run code that comes with a .keras file: it may do anything."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a model in another format and prove that it gives the same answers.

    One that does not is removed, and the exit code is 1.
    """
    from opsin.classifier import Classifier
    from opsin.data.dataset import ImageDataset
    from opsin.exporters.export import describe
    from opsin.exporters.export import export as export_classifier
    from opsin.exporters.foreign import adopt

    said = KerasFile(classes, preprocess, fit, image_size, trust)
    with tempfile.TemporaryDirectory() as temporary:
        if model.is_file():
            # As the model of a run that is called like the file: an export takes its name from there.
            folder = Path(temporary) / model.stem / MODEL
            classifier = adopt(model, said.describe(model), folder, trust=trust)
            out = out or model.with_name(f"{model.stem}-{format}{'-int8' * int8}")
        else:
            if model.exists():
                said.refuse()
            classifier = Classifier.open_own(model)
        found = export_classifier(
            classifier,
            out,
            format=format,
            int8=int8,
            with_features=with_features,
            data=None if data is None else ImageDataset.open(data),
            ort_web=ort_web,
            say=lambda line: print(line, file=sys.stderr),
        )
    if as_json:
        print(json.dumps(describe(found), indent=2))
        return
    for note in found.card.artefact.notes:
        print(note, file=sys.stderr)
    print(found.folder)
