"""`opsin explain`: what in a picture speaks for a class, and what is inside the network."""

import json
import sys
from pathlib import Path

import typer

from opsin.cli.export import RANGES, KerasFile
from opsin.cli.keras_alone import import_keras
from opsin.errors import ExitCode, UsageError
from opsin.explanation import COLORS, EXPLAINERS

EXAMPLES = (
    "opsin explain RUN cat.jpg",
    "opsin explain RUN cat.jpg --class cat --class dog --out why.png",
    "opsin explain RUN cat.jpg --method grad_cam --method occlusion",
    "opsin explain RUN cat.jpg --faithful --sanity",
    "opsin explain RUN cat.jpg --method layer_cam --boxes --json",
    "opsin explain RUN cat.jpg --layer block_1_expand_relu --maps",
    "opsin explain RUN --filters --data photos/",
    "opsin explain RUN --channel 12 --data photos/",
    "opsin explain my.keras cat.jpg --classes labels.txt --preprocess zero_one --layer conv5",
)
ALL, TOP = "all", "top3"
METHOD = "grad_cam"
INSIDE = ("maps", "filters", "channel")


def explain(
    model: Path = typer.Argument(
        metavar="MODEL", help="A run folder, a model folder, or any image network as a .keras file."
    ),
    pictures: list[str] = typer.Argument(
        None, metavar="PICTURE...", help="The pictures to explain.", show_default=False
    ),
    method: list[str] | None = typer.Option(
        None,
        help=f"How, again for several beside each other: {', '.join(EXPLAINERS)}, or {ALL} (default: {METHOD}).",
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
    faithful: bool = typer.Option(
        False, "--faithful", help="Also delete and insert what the map points at, beside random maps."
    ),
    sanity: bool = typer.Option(
        False, "--sanity", help="Also make the weights random from the top down: does the map change?"
    ),
    boxes: bool = typer.Option(
        False, "--boxes", help="Also draw a box around the largest hot area: what is 20 % of the highest value or more."
    ),
    maps: bool = typer.Option(False, "--maps", help="Draw the maps of --layer on the picture instead."),
    filters: bool = typer.Option(
        False, "--filters", help="Draw the first layer's filters instead; with --data count dead and duplicated ones."
    ),
    channel: int | None = typer.Option(
        None,
        min=0,
        help="Draw what this channel of --layer would like to see instead; with --data what excites it most.",
    ),
    data: Path | None = typer.Option(None, help="A folder of pictures for --filters and --channel."),
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
    trust: bool = typer.Option(False, "--trust", help="Run code that comes with a .keras file: it may do anything."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
) -> None:
    """Draw what in a picture speaks for a class: a heat map over the picture.

    A picture that cannot be read is an error of its own: the rest go on, and the exit code is 3.
    """
    inside = _inside(pictures, maps=maps, filters=filters, channel=channel, data=data)
    asked = {"faithful": faithful, "sanity": sanity, "boxes": boxes}
    if inside:
        _refuse(inside, layer, {"method": method, "class": class_name, **asked})
    methods = _methods(method or [METHOD])
    import_keras("explaining a network")
    from opsin.cli.explaining import Wanted, explain_each, open_model

    wanted = Wanted(methods, tuple(class_name or ()), layer, colors, **asked)
    keras_file = KerasFile(classes, preprocess, fit, image_size, trust)
    if inside:
        from opsin.cli import insides

        look = insides.Look(layer, colors, channel, data, out)
        answers = getattr(insides, inside)(lambda: open_model(model, keras_file), pictures or [], look)
    else:
        answers = explain_each(lambda: open_model(model, keras_file), pictures, wanted, out)
    failed, documents = False, []
    for answer in answers:
        failed = failed or answer.error is not None
        documents.append(answer.document())
        if not as_json:
            print(answer.text(), file=sys.stderr if answer.error else sys.stdout)
    if as_json:
        print(json.dumps(documents, indent=2))
    if failed:
        raise typer.Exit(ExitCode.UNUSABLE)


def _inside(
    pictures: list[str] | None, *, maps: bool, filters: bool, channel: int | None, data: Path | None
) -> str | None:
    """Return which look inside the network is wanted; None for a heat map."""
    wanted = [name for name, given in zip(INSIDE, (maps, filters, channel is not None), strict=True) if given]
    if len(wanted) > 1:
        raise UsageError(f"Expected one of --{', --'.join(INSIDE)}; received {len(wanted)} of them. Leave others out.")
    if not pictures and wanted in ([], ["maps"]):
        raise UsageError("Expected pictures to explain; received none. Name them after the model.")
    if pictures and wanted in (["filters"], ["channel"]):
        raise UsageError(
            f"Expected no picture with --{wanted[0]}; received {pictures[0]!r}. Give a folder: --data DIR."
        )
    if data is not None and wanted not in (["filters"], ["channel"]):
        raise UsageError(f"Expected --data only with --filters or --channel; received {str(data)!r}. Leave it out.")
    return wanted[0] if wanted else None


def _refuse(inside: str, layer: str | None, heat_maps: dict[str, object]) -> None:
    """Refuse what says nothing to a look inside the network: what is for heat maps, and a layer where it is known."""
    given = [f"--{name}" for name, value in heat_maps.items() if value]
    if given:
        raise UsageError(
            f"Expected {', '.join(given)} only for heat maps, not with --{inside}; received both. Leave one out."
        )
    if inside == "filters" and layer is not None:
        raise UsageError(
            f"Expected no --layer with --filters, which are the first layer's; received {layer!r}. Leave it out."
        )


def _methods(given: list[str]) -> tuple[str, ...]:
    from opsin.catalog import choose

    for name in given:
        choose("method", name, (*EXPLAINERS, ALL))
    return tuple(EXPLAINERS) if ALL in given else tuple(dict.fromkeys(given))
