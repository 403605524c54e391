"""HTML from words: whatever comes from outside is text in it, never markup."""

import html
from collections.abc import Iterable, Sequence

from opsin.evaluation.wording import readable, shortened

ROWS_SHOWN = 25
"""A table shows this many rows at once; the rest can be unfolded."""

NAME_LENGTH = 28
"""Of a class in a chart or under a picture, in characters; its whole name is told where the pointer rests."""

PATH_LENGTH = 64


def escaped(text: str) -> str:
    """Return a text from outside as it may stand in an element and in a quoted attribute.

    >>> escaped('<b>"x"\\n')
    '&lt;b&gt;&quot;x&quot;\\\\n'
    """
    return html.escape(readable(text))


def short(text: str, length: int = NAME_LENGTH) -> str:
    """Return a name from outside, cut in its middle if it is long; then the whole of it is its title.

    >>> short("tulips")
    '<bdi>tulips</bdi>'
    """
    shown = shortened(text, length)
    title = "" if shown == readable(text) else f' title="{escaped(text)}"'
    # Isolated: a name that is written from right to left leaves the numbers beside it where they are.
    return f"<bdi{title}>{html.escape(shown)}</bdi>"


def place(path: str) -> str:
    """Return a picture's path."""
    return f'<span class="path">{short(path, PATH_LENGTH)}</span>'


def section(name: str, title: str, *content: str, note: str = "") -> str:
    """Return a section of the page, nothing if there is nothing in it.

    Args:
        name: of the place that links lead to; letters only.
        title: its heading.
        content: HTML.
        note: HTML of a sentence below the heading.
    """
    inside = "".join(content)
    if not inside:
        return ""
    return (
        f'<section id="{name}" aria-labelledby="{name}-title">\n<h2 id="{name}-title">{title}</h2>\n'
        f"{said(note)}{inside}</section>\n"
    )


def part(title: str, *content: str, note: str = "") -> str:
    """Return a part of a section, nothing if there is nothing in it."""
    inside = "".join(content)
    return f"<h3>{title}</h3>\n{said(note)}{inside}" if inside else ""


def said(note: str) -> str:
    """Return a sentence that explains, nothing of nothing."""
    return f'<p class="quiet">{note}</p>\n' if note else ""


def figure(drawn: str, caption: str) -> str:
    """Return a chart with the sentence that says how to read it."""
    return f'<figure class="chart">{drawn}<figcaption>{caption}</figcaption></figure>\n'


def table(
    caption: str,
    head: Sequence[str],
    rows: Iterable[str],
    *,
    foot: Sequence[str] = (),
    words: Sequence[int] = (0,),
    most: int | None = None,
) -> str:
    """Return a table; what is past the first rows is folded.

    Args:
        caption: what it holds.
        head: HTML of each column's heading.
        rows: HTML of each row, its first cell a heading; see `row`.
        foot: rows below the others.
        words: which columns hold words; the others hold numbers.
        most: how many rows there are at most; the others are counted.
    """
    rows = list(rows)
    shown = rows[: most or len(rows)]
    columns = [f'<th scope="col"{" class=text" if i in words else ""}>{name}</th>' for i, name in enumerate(head)]
    heading = f"<thead><tr>{''.join(columns)}</tr></thead>"
    ends = f"<tfoot>{''.join(foot)}</tfoot>" if foot else ""
    drawn = _wide(caption, f"{heading}<tbody>{''.join(shown[:ROWS_SHOWN])}</tbody>{ends}")
    if more := shown[ROWS_SHOWN:]:
        rest = _wide(f"{caption}, continued", f"{heading}<tbody>{''.join(more)}</tbody>")
        drawn += f"<details><summary>{len(more):,} more</summary>{rest}</details>\n"
    if left := len(rows) - len(shown):
        drawn += said(f"And {left:,} more, which this page has no room for.")
    return drawn


def row(first: str, *cells: str, words: Sequence[int] = (0,)) -> str:
    """Return a table's row.

    Args:
        first: HTML of the cell that names the row.
        cells: HTML of the others.
        words: which cells hold words.
    """
    others = "".join(f"<td{' class=text' if i in words else ''}>{cell}</td>" for i, cell in enumerate(cells, start=1))
    return f'<tr><th scope="row" class="text">{first}</th>{others}</tr>\n'


def _wide(caption: str, inside: str) -> str:
    # What can be scrolled must be reached by keyboard, too.
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{caption}">'
        f"<table><caption>{caption}</caption>{inside}</table></div>\n"
    )
