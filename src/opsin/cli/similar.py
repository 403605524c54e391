"""`opsin similar`: which pictures of an index are like another."""

import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.cli.account import one_line
from opsin.errors import ExitCode, UsageError
from opsin.runtimes import IN_THE_MODEL

if TYPE_CHECKING:
    from opsin.features.index import FeatureIndex, Match

    Answer = tuple[str, tuple[Match, ...]]

EXAMPLES = (
    "opsin similar vectors.npz cat.jpg",
    "opsin similar vectors.npz cat.jpg dog.jpg --top 20 --sheet similar.png",
    "opsin similar vectors.npz cat.jpg --model moved/RUN",
)


def similar(
    index: Path = typer.Argument(metavar="INDEX", help="An index that opsin embed has written."),
    pictures: list[str] = typer.Argument(metavar="PICTURE...", help="Pictures to find similar ones to."),
    top: int = typer.Option(10, min=1, help="How many similar pictures to name for each."),
    sheet: Path | None = typer.Option(None, help="Also draw them into this .png, .jpg or .webp."),
    model: str | None = typer.Option(None, help="Where the model is now that made the index; default: where it was."),
    weights: str | None = typer.Option(None, help="Where a backbone's weights are now; default: where they were."),
    offline: bool = typer.Option(False, "--offline", help="Never download weights."),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
    runtime: str = typer.Option("litert", help=f"Of a model: {' or '.join(IN_THE_MODEL)}; keras needs opsin\\[train]."),
) -> None:
    """Name the pictures of an index that are most similar to others, by the cosine of their vectors (1: the same).

    They are compared by the model that made the index; by a finished one, no TensorFlow is loaded.
    """
    from opsin.cli.bars import progress_bar
    from opsin.features.embedders import reopen_embedder
    from opsin.features.embedding import embed
    from opsin.features.index import FeatureIndex

    _require_there(pictures)
    found = FeatureIndex.load(index)
    if sheet is not None:
        _require_sheet(sheet, pictures, found, top)
    embedder = reopen_embedder(found.origin, model, weights, offline=offline, runtime=runtime, say=_say)
    with progress_bar("embedding") as advance:
        asked = embed(embedder, pictures, progress=advance)
    given = {str(Path(picture).absolute()): picture for picture in pictures}
    answers = [
        (given[path], found.nearest(vector, top)) for path, vector in zip(asked.paths, asked.vectors, strict=True)
    ]
    if sheet is not None:
        _draw(sheet, answers)
    skipped = [(given[path], reason) for path, reason in asked.skipped]
    print(json.dumps(_document(answers, skipped), indent=2) if as_json else _text(answers))
    for path, reason in skipped:
        _say(f"{one_line(path)}  error: {one_line(reason)}")
    if skipped:
        raise typer.Exit(ExitCode.UNUSABLE)


def _say(line: str) -> None:
    print(line, file=sys.stderr)


def _require_there(pictures: list[str]) -> None:
    for picture in pictures:
        if not os.path.lexists(picture):
            raise UsageError(f"Expected pictures; nothing is there at {picture!r}. Check the path.")


def _require_sheet(sheet: Path, pictures: list[str], index: "FeatureIndex", top: int) -> None:
    """Raise `UsageError` unless the sheet can be drawn, before the network runs."""
    from opsin.features.sheets import require_file, require_room

    require_file(sheet, [*pictures, *index.paths])
    require_room(len(pictures), min(top, len(index)))


def _draw(sheet: Path, answers: "list[Answer]") -> None:
    from opsin.features.sheets import draw_matches
    from opsin.images.drawing import save_image

    save_image(draw_matches([picture for picture, _ in answers], [matches for _, matches in answers]), sheet)


def _document(answers: "list[Answer]", skipped: list[tuple[str, str]]) -> list[dict]:
    found = [{"picture": picture, "similar": [_match(one) for one in matches]} for picture, matches in answers]
    return [*found, *({"picture": picture, "error": reason} for picture, reason in skipped)]


def _match(match: "Match") -> dict:
    label = {"label": match.label} if match.label else {}
    return {"path": match.path, "similarity": round(match.similarity, 6), **label}


def _text(answers: "list[Answer]") -> str:
    lines = []
    for picture, matches in answers:
        lines += [f"Most similar to {one_line(picture)}:", *map(_line, matches), ""]
    return "\n".join(lines[:-1])


def _line(match: "Match") -> str:
    return "  ".join([f"  {match.similarity:6.3f}", one_line(match.path), one_line(match.label)]).rstrip()
