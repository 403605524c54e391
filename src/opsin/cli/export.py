"""`opsin export`: a model in another format, proved equal."""

import json
import sys
from pathlib import Path

import typer

from opsin.exporters import FORMATS, IN_INT8

EXAMPLES = (
    "opsin export RUN --format onnx",
    "opsin export RUN --format litert --int8",
    "opsin export RUN --format saved_model --out models/flowers",
    "opsin export RUN --format openvino --int8 --data photos/",
)


def export(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder or a model folder."),
    format: str = typer.Option(..., help=f"Which: {', '.join(FORMATS)}."),
    int8: bool = typer.Option(False, "--int8", help=f"Compute in 8-bit integers ({', '.join(IN_INT8)})."),
    out: Path | None = typer.Option(
        None, help="The folder to write (default: exports/FORMAT in the run); of a saved_model, that of all versions."
    ),
    data: Path | None = typer.Option(
        None, help="Pictures to prove it on, and to calibrate 8-bit integers with (default: the training data)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Write a model in another format and prove that it gives the same answers.

    One that does not is removed, and the exit code is 1.
    """
    from opsin.classifier import Classifier
    from opsin.data.dataset import ImageDataset
    from opsin.exporters.export import describe
    from opsin.exporters.export import export as export_classifier

    found = export_classifier(
        Classifier.open(model),
        out,
        format=format,
        int8=int8,
        data=None if data is None else ImageDataset.open(data),
        say=lambda line: print(line, file=sys.stderr),
    )
    if as_json:
        print(json.dumps(describe(found), indent=2))
        return
    for note in found.card.artefact.notes:
        print(note, file=sys.stderr)
    print(found.folder)
