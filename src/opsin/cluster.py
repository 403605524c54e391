"""Prediction on a cluster: the same classifier as a Ray Data map, in workers that may die without losing a row."""

import contextlib
import functools
import itertools
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from opsin.catalog import require, require_installed
from opsin.classifier import Classifier, Prediction
from opsin.errors import ClusterError, PictureError, UsageError
from opsin.images.link import Link
from opsin.images.reading import chunked, usable_cores

ADDRESS = "RAY_ADDRESS"
"""Ray's own variable: the cluster to join, `auto` for that of this machine. Not set: one is started here."""

WORKER_CPUS = 0.5
"""What a worker claims of a core: Ray Data's own tasks need room beside the workers, or all of them wait for ever."""

WINDOW = 2**20
"""How many sources are drawn, and so held in memory, before the workers start on them."""

MOST_PER_TASK = 128
"""How many pictures a worker takes at a time, and begins anew if it dies; the order is kept from task to task."""

TASKS_PER_WORKER = 4
"""How many tasks, at least, a worker's share is cut into: all workers are to end at about the same time."""

TRIES = 3
"""How many workers may die on one picture, when it is taken by itself, before it is taken for the reason."""

PATIENCE = 10
"""How long a cluster may take to answer its address, in seconds."""

Source = str | os.PathLike | Link


class Predictor:
    """A classifier as a Ray Data map: `dataset.map_batches(Predictor, fn_constructor_args=[open_classifier], ...)`.

    Args:
        open_classifier: opens it, in each worker.
        batch_size: how many pictures the network sees at once.
        begin: is told the number of what is begun, and returns how often it was; None: nobody counts.
    """

    def __init__(
        self,
        open_classifier: Callable[[], Classifier],
        batch_size: int = 16,
        begin: Callable[[str, int], int] | None = None,
    ):
        self.classifier = open_classifier()
        self.batch_size = batch_size
        self.begin = begin or (lambda what, number: 1)

    def __call__(self, batch: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Answer pictures.

        Args:
            batch: `number` int64 (N,), which is given back; `source` bytes (N,), a file's path as `os.fsencode` gives
                it, or an address; `is_link` bool (N,), whether it is an address.

        Returns:
            `number`; `probabilities` float64 (N, k), NaN for a picture that cannot be read; `refused` bool (N,),
            whether the label is `unknown`; `error` (N,), why it cannot be read, else empty.
        """
        numbers = [int(number) for number in batch["number"]]
        sources = [
            Link(os.fsdecode(source)) if is_link else os.fsdecode(source)
            for source, is_link in zip(batch["source"], batch["is_link"], strict=True)
        ]
        if self.begin("task", numbers[0]) == 1:
            answers = list(self.classifier.predict_many(sources, batch_size=self.batch_size))
        else:  # The last worker that had these died, perhaps of one of them.
            answers = list(map(self._predict_alone, numbers, sources))
        return {"number": batch["number"], **_columns(answers, len(self.classifier.class_names))}

    def _predict_alone(self, number: int, source: Source) -> Prediction | PictureError:
        if self.begin("picture", number) > TRIES:
            return PictureError(f"{TRIES} workers died when they read it", _path(source))
        (answer,) = self.classifier.predict_many([source], batch_size=1)
        return answer


def _columns(answers: list[Prediction | PictureError], classes: int) -> dict[str, Any]:
    errors = [answer.reason if isinstance(answer, PictureError) else "" for answer in answers]
    nothing = np.full(classes, np.nan)
    return {
        "probabilities": np.stack([getattr(answer, "probabilities", nothing) for answer in answers]),
        "refused": np.array([getattr(answer, "refused", False) for answer in answers]),
        "error": errors,
    }


class _Ledger:
    """What was begun, and how often: kept by itself, since workers that die forget."""

    def __init__(self):
        self.begun: Counter[tuple[str, int]] = Counter()

    def begin(self, what: str, number: int) -> int:
        self.begun[what, number] += 1
        return self.begun[what, number]


def _begin(ledger: Any, what: str, number: int) -> int:
    return require("ray", _PURPOSE).get(ledger.begin.remote(what, number))


def predict_on_cluster(
    open_classifier: Callable[[], Classifier],
    sources: Iterable[Source],
    class_names: tuple[str, ...],
    *,
    batch_size: int = 16,
    workers: int | None = None,
) -> Iterator[Prediction | PictureError]:
    """Predict any number of pictures in the workers of a Ray cluster; their answers come in order.

    Every node must have Opsin, and find the model and the pictures at the same paths. What a worker that dies had
    under way goes to another one; a picture of which `TRIES` die counts as one that cannot be read.

    Args:
        open_classifier: opens the classifier in a worker, `functools.partial(Classifier.open, "/shared/run",
            threads=1)` say: a worker has about one core for itself.
        sources: paths, or links on the web; without end if need be, though answers come only when `WINDOW` are drawn.
        class_names: the classifier's k names.
        batch_size: how many pictures the network sees at once.
        workers: how many there are; None: as many as the cluster has cores.

    Returns:
        For each source its prediction, or why it cannot be read.

    Raises:
        MissingPackageError: Ray is not installed.
        ClusterError: the cluster cannot be reached, or a worker cannot open the model.
        UsageError: less than one worker was asked for.
    """
    if workers is not None and workers < 1:
        raise UsageError(f"Expected at least 1 worker; received {workers}.")
    require_installed(("ray", "pandas", "pyarrow"), _PURPOSE)
    return _predict(open_classifier, sources, class_names, batch_size, workers)


def _predict(
    open_classifier: Callable[[], Classifier],
    sources: Iterable[Source],
    class_names: tuple[str, ...],
    batch_size: int,
    workers: int | None,
) -> Iterator[Prediction | PictureError]:
    with _cluster() as cores, _explaining():
        workers = workers or cores
        for window in chunked(sources, itertools.repeat(WINDOW)):
            tasks = list(_tasks(window, workers))
            answers = _rows(tasks, open_classifier, batch_size, min(workers, len(tasks)))
            for number, (source, row) in enumerate(zip(window, answers, strict=True)):
                if row["number"] != number:
                    raise ClusterError(f"Expected the answer to {_path(source)!r}; Ray gave another one's. Try again.")
                yield _answer(_path(source), row, class_names)


def _answer(path: str, row: dict[str, Any], class_names: tuple[str, ...]) -> Prediction | PictureError:
    if row["error"]:
        return PictureError(str(row["error"]), path)
    return Prediction(path, row["probabilities"], class_names, bool(row["refused"]))


def _rows(tasks: list[Any], open_classifier: Callable[[], Classifier], batch_size: int, workers: int) -> Iterator[dict]:
    """Yield what `Predictor` gives, a row at a time, in the order of the tasks."""
    data = require("ray.data", _PURPOSE)
    ledger = require("ray", _PURPOSE).remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Ledger).remote()
    context = data.DataContext.get_current().copy()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.execution_options.preserve_order = True
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)
    with data.DataContext.current(context):
        dataset = data.from_arrow(tasks).map_batches(
            Predictor,
            fn_constructor_args=(open_classifier, batch_size, functools.partial(_begin, ledger)),
            batch_size=None,
            compute=data.ActorPoolStrategy(size=workers),
            num_cpus=WORKER_CPUS,
        )
        for batch in dataset.iter_batches(batch_size=None, batch_format="numpy"):
            yield from (dict(zip(batch, row, strict=True)) for row in zip(*batch.values(), strict=True))


def _tasks(window: list[Source], workers: int) -> Iterator[Any]:
    """Yield Arrow tables of what `Predictor` takes."""
    pyarrow = require("pyarrow", _PURPOSE)
    size = max(1, min(MOST_PER_TASK, len(window) // (TASKS_PER_WORKER * workers)))
    for start in range(0, len(window), size):
        some = window[start : start + size]
        yield pyarrow.table(
            {
                "number": range(start, start + len(some)),
                # Bytes, since names need not be UTF-8; absolute, since a worker's folder is another one.
                "source": [_encoded(source) for source in some],
                "is_link": [isinstance(source, Link) for source in some],
            }
        )


def _encoded(source: Source) -> bytes:
    return os.fsencode(source.url if isinstance(source, Link) else Path(source).absolute())


def _path(source: Source) -> str:
    return source.url if isinstance(source, Link) else os.fspath(source)


@contextlib.contextmanager
def _cluster() -> Iterator[int]:
    """Join the cluster that there is, or start one on this machine for as long as the block runs.

    Yields:
        How many cores it has.
    """
    # Ray reports on its use to its makers unless this stands before it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray = require("ray", _PURPOSE)
    started = not ray.is_initialized()
    if started:
        _start(ray)
    try:
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if started:
            ray.shutdown()


def _start(ray: Any) -> None:
    quiet = {"log_to_driver": False, "logging_level": logging.CRITICAL, "configure_logging": True}
    address = os.environ.get(ADDRESS)
    try:
        if address:
            _require_reachable(address)
            ray.init(address=address, **quiet)
        else:
            # It listens on all of this machine's addresses, and obeys who knows the token in the user's ~/.ray alone.
            ray.init(address="local", num_cpus=usable_cores(), include_dashboard=False, **quiet)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        where = f"the cluster at {ADDRESS}={address!r}" if address else "a cluster on this machine"
        raise ClusterError(
            f"Expected {where} to answer; it does not: {_last_line(error)}. Check that it runs."
        ) from error


def _require_reachable(address: str) -> None:
    # Ray itself would try for ever. `auto` has no port, and is looked up by Ray.
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if port.isdigit():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


@contextlib.contextmanager
def _explaining() -> Iterator[None]:
    exceptions = require("ray.exceptions", _PURPOSE)
    try:
        yield
    except exceptions.RayError as error:
        raise ClusterError(
            f"Expected workers that answer; Ray says: {_last_line(error)}. The answers so far stand. Check that every "
            "node has Opsin, the model and enough memory; --debug shows all that Ray says."
        ) from error


def _last_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__


_PURPOSE = "prediction on a cluster"
