"""`opsin verify`: is this still the model that was written?"""

import json
from pathlib import Path

import typer

from opsin.errors import ExitCode
from opsin.runtimes import ENGINES

EXAMPLES = (
    "opsin verify RUN",
    "opsin verify RUN/exports/onnx-int8",
    "opsin verify model/ --runtime keras --json",
)


def verify(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder, a model folder or an export."),
    runtime: str | None = typer.Option(None, help=f"What runs the network: {', '.join(ENGINES)}."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document."),
) -> None:
    """Check every file against its sha256 and replay the golden pictures.

    The exit code is 1 if something differs.
    """
    from opsin.exporters.verify import verify as verify_folder
    from opsin.model_folder import SEGMENTATION, ModelCard, find_model_folder

    if ModelCard.read(find_model_folder(model), task=None).task == SEGMENTATION:
        from opsin.segmentation.verify import verify_segmenter as verify_folder
    found = verify_folder(model, runtime=runtime)
    print(json.dumps(found.to_dict(), indent=2) if as_json else found)
    if not found.passed:
        raise typer.Exit(ExitCode.GATE_FAILED)
