"""`opsin explain`: what in a picture speaks for a class, and what is inside the network."""

import json
import sys
from pathlib import Path

import typer

from opsin.cli.export import RANGES
from opsin.errors import ExitCode
from opsin.explanation import COLORS, EXPLAINERS

EXAMPLES = (
    "opsin explain RUN cat.jpg",
    "opsin explain RUN cat.jpg --class cat --class dog --out why.png",
    "opsin explain RUN cat.jpg --method grad_cam --method occlusion",
    "opsin explain my.keras cat.jpg --classes labels.txt --preprocess zero_one --layer conv5",
)
ALL, TOP = "all", "top3"


def explain(
    model: Path = typer.Argument(
        metavar="MODEL", help="A run folder, a model folder, or any image network as a .keras file."
    ),
    pictures: list[str] = typer.Argument(metavar="PICTURE", help="The pictures to explain."),
    method: list[str] = typer.Option(
        ["grad_cam"], help=f"How, again for several beside each other: {', '.join(EXPLAINERS)}, or {ALL}."
    ),
    class_name: list[str] | None = typer.Option(
        None, "--class", help=f"For which class, again for several; or {TOP}, or {ALL} (default: the most probable)."
    ),
    layer: str | None = typer.Option(
        None, help="The layer whose maps are looked at, MODEL/LAYER inside a nested one (default: finds the right one)."
    ),
    out: Path | None = typer.Option(
        None, help="The .png, .jpg or .webp to write, a folder for several pictures (default: PICTURE-why.png, here)."
    ),
    colors: str = typer.Option(COLORS[0], help=f"The colours: {', '.join(COLORS)}."),
    classes: Path | None = typer.Option(
        None, help="Of a .keras file: a text file with a class name a line, in the order of its outputs."
    ),
    preprocess: str | None = typer.Option(
        None, help=f"Of a .keras file: the range that it takes: {', '.join(RANGES)}."
    ),
    fit: str = typer.Option("stretch", help="Of a .keras file: how pictures become its size: stretch, crop, pad."),
    image_size: int | None = typer.Option(None, min=1, help="Of a .keras file that takes any size: which, in pixels."),
    trust: bool = typer.Option(False, "--trust", help="Run code that comes with a .keras file: it may do anything."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
) -> None:
    """Draw what in a picture speaks for a class: a heat map over the picture.

    A picture that cannot be read is an error of its own: the rest go on, and the exit code is 3.
    """
    from opsin.cli.explaining import Answer, KerasFile, Wanted, open_model, places_for

    wanted = Wanted(_methods(method), tuple(class_name or ()), layer, colors)
    files = places_for(pictures, out)
    network = open_model(model, KerasFile(classes, preprocess, fit, image_size, trust))
    wanted.check(network)
    answers: list[Answer] = []
    for picture, file in zip(pictures, files, strict=True):
        answers.append(wanted.answer(network, picture, file))
        if not as_json:
            print(answers[-1].text(), file=sys.stderr if answers[-1].error else sys.stdout)
    if as_json:
        print(json.dumps([answer.document() for answer in answers], indent=2))
    if any(answer.error for answer in answers):
        raise typer.Exit(ExitCode.UNUSABLE)


def _methods(given: list[str]) -> tuple[str, ...]:
    from opsin.catalog import choose

    for name in given:
        choose("method", name, (*EXPLAINERS, ALL))
    return tuple(EXPLAINERS) if ALL in given else tuple(dict.fromkeys(given))
