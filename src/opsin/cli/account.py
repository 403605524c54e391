"""What commands say of pictures that they leave out."""

import os
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opsin.data.walk import Skipped


def left_out(folder: str | os.PathLike, skipped: Iterable["Skipped"]) -> Iterator[str]:
    """Yield each picture of a folder that was lost, by its name, and one line on all else that was left out."""
    # Not at the top: help would wait for Pillow.
    from opsin.data.walk import count_reasons

    skipped = list(skipped)
    for one in skipped:
        if one.lost:
            path = os.path.normpath(os.path.join(folder, one.path))
            yield f"{one_line(path)}  error: {one.reason}."
    others = count_reasons(one for one in skipped if not one.lost)
    if others:
        yield f"Left out of {one_line(os.fspath(folder))}: {one_line(others)}."


def one_line(text: str) -> str:
    """Return a text as it is, or with what no terminal can print written as Python writes it."""
    return text if text.isprintable() else repr(text)[1:-1]
