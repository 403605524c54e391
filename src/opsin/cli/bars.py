"""A progress bar on stderr for long work; nothing where stderr is no terminal."""

import contextlib
import sys
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def progress_bar(what: str, *, wanted: bool = True) -> Iterator[Callable[[int, int | None], None]]:
    """Show a bar while the block runs.

    Args:
        what: what is done.
        wanted: whether there shall be one at all.

    Yields:
        A function that takes how much is done, and of how much (None where nobody knows).
    """
    if not (wanted and sys.stderr.isatty()):
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress

    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    # What is printed to stdout meanwhile belongs there, not above the bar.
    with Progress(*columns, console=Console(file=sys.stderr), transient=True, redirect_stdout=False) as bars:
        task = bars.add_task(what, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)
