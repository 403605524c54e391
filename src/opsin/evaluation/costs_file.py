"""What mistakes cost, read from a CSV that names the classes."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from opsin.catalog import choose
from opsin.data.walk import is_file
from opsin.errors import DataError, UsageError

LIST = ("truth", "said", "cost")
"""The columns of a file that lists costs instead of having a table of them."""


def read_costs(file: str | Path, class_names: Sequence[str]) -> np.ndarray:
    """Read a matrix of costs.

    Either a table, whose first line and first column name the classes: in the line of the true class, below the class
    that is said, stands what that costs. Or a list with the columns `truth,said,cost`; what it does not name costs 1,
    right answers nothing.

    Args:
        file: the CSV.
        class_names: the model's k classes; the file may have them in any order.

    Returns:
        float64 (k, k), the cost of saying class [column] where class [row] is true.

    Raises:
        UsageError: there is no such file.
        DataError: a class is missing, unknown or there twice, or a cost is no number.
    """
    file = Path(file)
    if not is_file(file):
        raise UsageError(f"Expected a CSV file of costs; there is none at {str(file)!r}. Check the path.")
    rows = _rows(file)
    names = list(class_names)
    if tuple(cell.strip() for cell in rows[0][1]) == LIST:
        return _from_list(file, rows[1:], names)
    return _from_table(file, rows, names)


def _rows(file: Path) -> list[tuple[int, list[str]]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Expected a CSV file in UTF-8; {str(file)!r} cannot be read as one: {error}.") from error
    except OSError as error:
        raise DataError(f"Could not read {str(file)!r}: {error.strerror}. Check its permissions.") from error
    if not rows:
        raise DataError(f"Expected a table of costs, or the columns {','.join(LIST)}; {str(file)!r} is empty.")
    return rows


def _from_list(file: Path, rows: list[tuple[int, list[str]]], names: list[str]) -> np.ndarray:
    matrix = 1 - np.eye(len(names))
    known = set()
    for line, row in rows:
        if len(row) != len(LIST):
            raise DataError(f"Expected {len(LIST)} cells in line {line} of {str(file)!r}; received {len(row)}.")
        place = _class(file, line, row[0], names), _class(file, line, row[1], names)
        if place in known:
            raise DataError(
                f"Expected one cost of saying {row[1]!r} for {row[0]!r} in {str(file)!r}; line {line} has another."
            )
        known.add(place)
        matrix[place] = _cost(file, line, row[2])
    return matrix


def _from_table(file: Path, rows: list[tuple[int, list[str]]], names: list[str]) -> np.ndarray:
    line, header = rows[0]
    columns = [_class(file, line, cell, names) for cell in header[1:]]
    _require_each_once(file, "column", columns, names)
    truths = [_class(file, line, row[0], names) for line, row in rows[1:]]
    _require_each_once(file, "line", truths, names)
    matrix = np.zeros((len(names), len(names)))
    for truth, (line, row) in zip(truths, rows[1:], strict=True):
        if len(row) != len(header):
            raise DataError(
                f"Expected {len(header)} cells in line {line} of {str(file)!r}, as in the first; received {len(row)}."
            )
        matrix[truth, columns] = [_cost(file, line, cell) for cell in row[1:]]
    return matrix


def _class(file: Path, line: int, cell: str, names: list[str]) -> int:
    try:
        return names.index(cell if cell in names else choose("class", cell.strip(), names))
    except UsageError as error:
        raise DataError(f"In line {line} of {str(file)!r}: {error}") from None


def _require_each_once(file: Path, what: str, found: list[int], names: list[str]) -> None:
    wrong = [name for index, name in enumerate(names) if found.count(index) != 1]
    if wrong:
        raise DataError(
            f"Expected one {what} for each class of the model in {str(file)!r}; there is none, or another one, for "
            f"{', '.join(map(repr, wrong[:8]))}."
        )


def _cost(file: Path, line: int, cell: str) -> float:
    try:
        cost = float(cell)
    except ValueError:
        cost = math.nan
    if not math.isfinite(cost):
        raise DataError(f"Expected numbers as costs in line {line} of {str(file)!r}; received {cell!r}.")
    return cost
