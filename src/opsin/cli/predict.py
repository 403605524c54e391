"""`opsin predict`: pictures in, class names out."""

import itertools
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from opsin.catalog import choose
from opsin.cli.answers import FORMATS, SUFFIXES, Output, choose_format, seen_elsewhere, writing
from opsin.cli.sources import Search
from opsin.errors import ExitCode, PictureError, UsageError
from opsin.runtimes import ENGINES

if TYPE_CHECKING:
    from opsin.classifier import Classifier
    from opsin.cli.answers import Answer
    from opsin.cli.copies import Copies
    from opsin.cli.watching import Watch

LOCAL, RAY = "local", "ray"

EXAMPLES = (
    "opsin predict RUN cat.jpg",
    "opsin predict RUN photos/ --out answers.csv --resume",
    "opsin predict RUN photos/ --unknown --copy-to sorted/",
    "opsin predict RUN photos/ --precision phishing=0.99",
    "opsin predict RUN --watch inbox/ --format jsonl",
    "opsin predict RUN clip.mp4 --fps 1 --out answers.csv",
    "opsin predict RUN --webcam 0 --fps 2",
    "opsin predict RUN /shared/photos --engine ray --out answers.parquet --resume",
    "find . -name '*.png' | opsin predict RUN - --format jsonl",
)

BY_CONFIDENCE_ALONE = (
    "This is an export, which gives probabilities alone, or an older model: --unknown goes by confidence, which tells "
    "few pictures of other kinds. The run itself compares them with known pictures, too."
)


def predict(
    model: Path = typer.Argument(metavar="MODEL", help="A run folder, a model folder or an export."),
    sources: list[str] = typer.Argument(
        None,
        metavar="SOURCE...",
        help="Pictures, folders, videos, glob patterns; - reads paths of pictures from stdin, one a line; with "
        "--allow-url addresses.",
        show_default=False,
    ),
    top: int = typer.Option(3, min=1, help="How many classes to name for each picture."),
    format: str | None = typer.Option(
        None, help=f"How to write the answers: {', '.join(FORMATS)} (default: as --out ends, else table)."
    ),
    as_json: bool = typer.Option(False, "--json", help="Print one JSON document, a list."),
    out: Path | None = typer.Option(
        None, help=f"The file to write the answers to: {', '.join(SUFFIXES)}; parquet needs opsin\\[parquet]."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on with --out: what it holds is not predicted again."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace what stands at --out."),
    copy_to: Path | None = typer.Option(
        None, help="Copy each picture into a folder of its class in here; nothing is moved or overwritten."
    ),
    threshold: float | None = typer.Option(
        None, help="Call a picture unknown whose best class is less probable than this, from 0 to 1."
    ),
    unknown: bool = typer.Option(
        False, "--unknown", help="Call a picture unknown that is unlike those of the training, or too unsure."
    ),
    keep: float | None = typer.Option(
        None, help="With --unknown: the share of known pictures to keep, 0.8, 0.9, 0.95, 0.98 or 0.99 (default: 0.95)."
    ),
    precision: list[str] = typer.Option(
        None,
        metavar="CLASS=SHARE",
        help="Say a class only where this share of such answers is right, else unknown; may be given again.",
        show_default=False,
    ),
    watch: Path | None = typer.Option(None, help="A folder: go on with the pictures that come into it, until Ctrl-C."),
    every: int | None = typer.Option(None, min=1, help="Of videos and cameras: take one frame of so many."),
    fps: float | None = typer.Option(
        None, help="Of videos and cameras: take at most so many frames a second (default: all; needs opsin\\[video])."
    ),
    webcam: int | None = typer.Option(
        None, min=0, help="A camera, by its index: each frame as it comes, until Ctrl-C; needs opsin\\[video]."
    ),
    allow_url: bool = typer.Option(False, "--allow-url", help="Fetch pictures whose http or https address is given."),
    batch_size: int = typer.Option(16, min=1, help="How many pictures the network sees at once."),
    runtime: str | None = typer.Option(
        None, help=f"What runs the network, {', '.join(ENGINES)}; keras needs opsin\\[train]."
    ),
    flips: bool = typer.Option(
        False, "--flips", help="See each picture mirrored as well, and average the answers (twice the time)."
    ),
    shifts: bool = typer.Option(
        False, "--shifts", help="See each picture moved a little to two corners as well (three times the time)."
    ),
    engine: str = typer.Option(
        LOCAL, help=f"Where to compute: {LOCAL}, or {RAY}, a cluster at RAY_ADDRESS or of this machine's cores."
    ),
    workers: int | None = typer.Option(
        None, min=1, help=f"With --engine {RAY}: how many workers (default: the cluster's cores)."
    ),
) -> None:
    """Predict the class of pictures.

    A picture that cannot be read is an error of its own: the rest go on, and the exit code is 3.

    Ctrl-C leaves the answers so far; with --out they can be gone on with.
    """
    from opsin.classifier import Classifier
    from opsin.cli.answers_kept import Kept, read_kept, take_place
    from opsin.cli.frames import choose_pace, predict_camera, predict_with_videos, require_alone
    from opsin.cli.workers import predict_in_workers

    endless = "--watch" if watch is not None else "--webcam" if webcam is not None else None
    _require_sensible(sources, as_json=as_json, copy_to=copy_to, endless=endless, allow_url=allow_url)
    _require_place(engine, workers, endless)
    format = choose_format(format, as_json, out)
    is_kept = take_place(out, format, resume=resume, overwrite=overwrite)
    rule = {"threshold": _threshold(threshold, unknown), "keep": keep, "precision": _precisions(precision)}
    classifier = Classifier.open(model, runtime, flips=flips, shifts=shifts, **rule)
    search = Search(sources or [], allow_url=allow_url)
    pace = choose_pace(search, webcam, every, fps)
    if pace is not None:
        require_alone(webcam, sources=sources, watch=watch, resume=resume, copy_to=copy_to, on_ray=engine == RAY)
    output = Output(format, out, min(top, len(classifier.class_names)), frames=pace is not None)
    kept = read_kept(output, classifier.labels) if is_kept else Kept()
    search.done = kept.paths
    if unknown and classifier.decision.references is None:
        print(BY_CONFIDENCE_ALONE, file=sys.stderr)
    watched = None if watch is None else _watched(watch, kept.paths if resume else None)
    copies = None if copy_to is None else _copies(copy_to, classifier, search, watch)
    groups = _groups(search, watched)
    if engine == RAY:
        answers = predict_in_workers(classifier, runtime, rule, groups, batch_size=batch_size, workers=workers)
    elif webcam is not None:
        answers = predict_camera(classifier, webcam, pace)
    elif pace is not None:
        sources = itertools.chain.from_iterable(groups)
        answers = predict_with_videos(classifier, sources, pace, done=kept.frames, batch_size=batch_size)
    else:
        answers = (answer for group in groups for answer in classifier.predict_many(group, batch_size=batch_size))
    total = search.total if endless is None else None
    failed, count = _write(answers, output._replace(end=kept.end), copies, total)
    for line in search.left_out():
        print(line, file=sys.stderr)
    if failed and format == "table":
        print(f"{failed} of {count} pictures could not be read.", file=sys.stderr)
    if failed or kept.failed or search.lost:
        raise typer.Exit(ExitCode.UNUSABLE)


def _require_sensible(
    sources: list[str] | None, *, as_json: bool, copy_to: Path | None, endless: str | None, allow_url: bool
) -> None:
    if not sources and endless is None:
        raise UsageError("Expected pictures to predict, --watch DIR or --webcam INDEX; received none of them. Add one.")
    if as_json and endless is not None:
        raise UsageError(f"Expected --format with {endless}, which never ends; received --json. Use --format jsonl.")
    if allow_url and copy_to is not None:
        raise UsageError("Expected files for --copy-to; received --allow-url with it. Leave one of them out.")


def _require_place(engine: str, workers: int | None, endless: str | None) -> None:
    choose("engine", engine, (LOCAL, RAY))
    if engine != RAY and workers is not None:
        raise UsageError(f"Expected --engine {RAY} with --workers; received --workers {workers} alone. Add it.")
    if engine == RAY and endless is not None:
        raise UsageError(
            f"Expected pictures that are there for --engine {RAY}, which takes many at a time; received {endless}. "
            "Leave one of them out."
        )


def _threshold(threshold: float | None, unknown: bool) -> float | str | None:
    from opsin.deciding import FROM_CARD

    if unknown and threshold is not None:
        raise UsageError(f"Expected --unknown or --threshold; received both, --threshold {threshold}. Leave one out.")
    return FROM_CARD if unknown else threshold


def _precisions(given: list[str] | None) -> dict[str, float]:
    wanted = {}
    for one in given or []:
        # A class's name may hold `=`; a number does not.
        name, equals, share = one.rpartition("=")
        try:
            wanted[name] = float(share)
        except ValueError:
            equals = ""
        if not equals:
            raise UsageError(f"Expected --precision CLASS=SHARE, daisy=0.99 say; received {one!r}.")
    return wanted


def _watched(folder: Path, done: frozenset[str] | None) -> "Watch":
    from opsin.cli.watching import Watch

    return Watch(folder, done=done)


def _copies(folder: Path, classifier: "Classifier", search: Search, watch: Path | None) -> "Copies":
    from opsin.cli.copies import Copies

    return Copies(folder, classifier.labels, [*search.folders, *([] if watch is None else [str(watch)])])


def _groups(search: Search, watched: "Watch | None") -> Iterator[Iterable]:
    """Return the pictures, a group at a time: a group's answers are there before the next is waited for."""
    # Drawn here and not later: if there is no picture, no file shall be made.
    first = [search.pictures()] if search.found else []

    def groups() -> Iterator[Iterable]:
        yield from first
        if watched is not None:
            yield from watched.arrivals()

    return groups()


def _write(answers: Iterable["Answer"], output: Output, copies: "Copies | None", total: int | None) -> tuple[int, int]:
    """Write all answers, and return how many are errors, of how many."""
    from opsin.cli.bars import progress_bar

    failed = count = 0
    with progress_bar("predicting", wanted=seen_elsewhere(output)) as advance, writing(output) as write:
        for answer in answers:
            count += 1
            if isinstance(answer, PictureError):
                failed += 1
            elif copies is not None:
                copies.add(answer)
            write(answer)
            advance(count, total)
    return failed, count
