"""`ClassTable`: what the classes of pixels are called, drawn as, and stored as in masks."""

import colorsys
import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opsin.catalog import choose
from opsin.errors import DataError, ModelError, UsageError

IGNORED = 255
"""In arrays of class indices: a pixel that is none of the classes, neither learned from nor judged by."""
MOST_CLASSES = 255
HIGHEST_VALUE = 65535

CODES = ("value", "color")
IGNORE_NAMES = frozenset({"ignore", "ignored", "void"})
"""What a class table's row is called whose pixels are ignored."""

Color = tuple[int, int, int]

# Okabe and Ito 2008, told apart by nearly everyone; black, which is drawn as nothing, comes first: the background's.
_FIRST_COLORS: tuple[Color, ...] = (
    *((0, 0, 0), (230, 159, 0), (86, 180, 233), (0, 158, 115)),
    *((240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167)),
)
_GOLDEN_TURN = 0.618033988749895


@dataclass(frozen=True)
class ClassTable:
    """The classes of pixels, in the order of their indices.

    Args:
        names: what each is called; 1 to 255 different ones.
        colors: (red, green, blue) of each, 0 to 255; empty for the default palette.
        ignore: numbers in mask files, 0 to 65535, of pixels that are none of the classes.
        values: the number, 0 to 65535, that each class has in mask files; empty for 0, 1, 2 and so on.
        code: what tells a class in mask files: `"value"`, its number; or `"color"`, its colour, in files that have
            colours.
        ignore_colors: with `"color"`, colours in mask files of pixels that are none of the classes.

    Raises:
        UsageError: the parts do not fit together.

    >>> table = ClassTable(("animal", "ground"), values=(1, 2), ignore=(3,))
    >>> table.k, table.colors
    (2, ((0, 0, 0), (230, 159, 0)))
    """

    names: tuple[str, ...]
    colors: tuple[Color, ...] = ()
    ignore: tuple[int, ...] = ()
    values: tuple[int, ...] = ()
    code: str = CODES[0]
    ignore_colors: tuple[Color, ...] = ()

    def __post_init__(self):
        choose("code", self.code, CODES)
        _set(self, "names", tuple(self.names))
        _set(self, "colors", tuple(map(tuple, self.colors)) or default_palette(len(self.names)))
        _set(self, "ignore", tuple(self.ignore))
        _set(self, "values", tuple(self.values) or tuple(range(len(self.names))))
        _set(self, "ignore_colors", tuple(map(tuple, self.ignore_colors)))
        _require_names(self.names)
        _require_numbers(self)
        _require_colors(self)

    @property
    def k(self) -> int:
        """How many classes there are."""
        return len(self.names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def palette(self) -> list[int]:
        """768 numbers, 0 to 255, as a PNG's palette has them: the classes' colours, and white for what is ignored."""
        flat = [value for color in self.colors for value in color]
        return flat + [0] * (3 * IGNORED - len(flat)) + [255, 255, 255]

    def index(self, name: str) -> int:
        """Return a class's index.

        Raises:
            UsageError: there is none of that name.
        """
        return self.names.index(choose("class", name, self.names))

    def to_dict(self) -> dict[str, Any]:
        """Give it as plain values for a JSON file."""
        return {
            "names": list(self.names),
            "colors": [list(color) for color in self.colors],
            "ignore": list(self.ignore),
            "values": list(self.values),
            "code": self.code,
            "ignore_colors": [list(color) for color in self.ignore_colors],
        }

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "ClassTable":
        """Take a table back from what `to_dict` gave.

        Raises:
            ModelError: it is no class table.
        """
        try:
            known = {name: document[name] for name in ("names", "colors", "ignore", "values", "code", "ignore_colors")}
            return cls(**known)
        except (KeyError, TypeError, UsageError) as error:
            raise ModelError(
                f"Expected a class table with names, colors and values; received another: {error}"
            ) from error


def default_palette(k: int) -> tuple[Color, ...]:
    """Return k different colours: black, the seven of Okabe and Ito, and then others round the colour circle.

    >>> default_palette(3)
    ((0, 0, 0), (230, 159, 0), (86, 180, 233))
    """
    colors = list(_FIRST_COLORS[:k])
    turn = 0
    while len(colors) < k:
        turn += 1
        lightness, strength = (0.35, 0.5, 0.65, 0.8)[turn % 4], (1.0, 0.6)[turn // 4 % 2]
        rgb = colorsys.hls_to_rgb(turn * _GOLDEN_TURN % 1, lightness, strength)
        color = tuple(round(255 * value) for value in rgb)
        if color not in colors:
            colors.append(color)
    return tuple(colors)


def read_colors(file: str | Path, *, ignore: Iterable[int] = ()) -> ClassTable:
    """Read a class table: a CSV with the columns `name,r,g,b` and optionally `value`, a line for each class.

    With the column `value`, masks hold these numbers, and the colours are for drawing. Without, masks hold the colours;
    a mask without colours then holds the lines' numbers, counted from 0. A line called `ignore`, `ignored` or `void`
    says what stands for pixels that are none of the classes; it is not counted.

    Args:
        file: the CSV.
        ignore: more numbers in masks of pixels that are none of the classes.

    Raises:
        UsageError: there is no such file.
        DataError: a column or a number is missing, or two lines are of one name, colour or value.
    """
    file = Path(file)
    if not file.is_file():
        raise UsageError(f"Expected a CSV file of classes; there is none at {str(file)!r}. Check the path.")
    rows = _rows(file)
    by_value = "value" in rows[0]
    kept = [row for row in rows if row["name"].casefold() not in IGNORE_NAMES]
    void = [row for row in rows if row["name"].casefold() in IGNORE_NAMES]
    try:
        return ClassTable(
            tuple(row["name"] for row in kept),
            tuple(row["color"] for row in kept),
            ignore=(*ignore, *(row["value"] for row in void if by_value)),
            values=tuple(row["value"] for row in kept) if by_value else (),
            code="value" if by_value else "color",
            ignore_colors=() if by_value else tuple(row["color"] for row in void),
        )
    except UsageError as error:
        raise DataError(f"The class table {str(file)!r} cannot be used. {error}") from error


def _set(table: ClassTable, name: str, value: object) -> None:
    object.__setattr__(table, name, value)


def _require_names(names: Sequence[str]) -> None:
    if not 1 <= len(names) <= MOST_CLASSES:
        raise UsageError(f"Expected 1 to {MOST_CLASSES} classes. Received {len(names)}.")
    if wrong := [name for name in names if not isinstance(name, str) or not name]:
        raise UsageError(f"Expected a name for every class. Received {wrong[0]!r}.")
    if twice := _twice(names):
        raise UsageError(f"Expected a different name for every class. Received {twice!r} twice.")


def _require_numbers(table: ClassTable) -> None:
    if len(table.values) != table.k:
        raise UsageError(f"Expected a value for each of {table.k} classes. Received {len(table.values)}.")
    for value in (*table.values, *table.ignore):
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= HIGHEST_VALUE:
            raise UsageError(f"Expected values as whole numbers from 0 to {HIGHEST_VALUE}. Received {value!r}.")
    if (twice := _twice(table.values)) is not None:
        raise UsageError(f"Expected a different value for every class. Received {twice} twice.")
    if both := sorted(set(table.values) & set(table.ignore)):
        name = table.names[table.values.index(both[0])]
        raise UsageError(
            f"Expected values to ignore that are no class's. {both[0]} is the value of {name!r}: name the other "
            "classes only, or leave it out of what is ignored."
        )


def _require_colors(table: ClassTable) -> None:
    if len(table.colors) != table.k:
        raise UsageError(f"Expected a colour for each of {table.k} classes. Received {len(table.colors)}.")
    for color in (*table.colors, *table.ignore_colors):
        if len(color) != 3 or any(not isinstance(value, int) or not 0 <= value <= 255 for value in color):
            raise UsageError(f"Expected colours as (red, green, blue), 0 to 255. Received {color!r}.")
    # Colours that are only drawn may be alike.
    every = (*table.colors, *table.ignore_colors)
    if table.code == "color" and (twice := _twice(every)) is not None:
        raise UsageError(f"Expected a different colour for every class. Received {twice} twice.")


def _twice(values: Sequence[Any]) -> Any:
    seen = set()
    return next((value for value in values if value in seen or seen.add(value)), None)


def _rows(file: Path) -> list[dict[str, Any]]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:
            reader = csv.DictReader(handle, strict=True, skipinitialspace=True)
            columns = reader.fieldnames or []
            if missing := [name for name in ("name", "r", "g", "b") if name not in columns]:
                raise DataError(
                    f"Expected the columns name, r, g and b in {str(file)!r}; missing: {', '.join(missing)}. "
                    f"Its first line has: {', '.join(columns) or 'nothing'}."
                )
            rows = [_row(file, reader.line_num, row) for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"Expected a CSV file in UTF-8; {str(file)!r} cannot be read as one: {error}.") from error
    except OSError as error:
        raise DataError(f"Could not read {str(file)!r}: {error.strerror}. Check its permissions.") from error
    if not rows:
        raise DataError(f"Expected a line for each class in {str(file)!r}; it has none.")
    return rows


def _row(file: Path, line: int, row: dict[str, str | None]) -> dict[str, Any]:
    numbers = {name: (row[name] or "").strip() for name in ("r", "g", "b", "value") if name in row}
    name = (row["name"] or "").strip()
    if not name or not all(text.isascii() and text.isdigit() for text in numbers.values()):
        raise DataError(
            f"Expected a name and whole numbers in line {line} of {str(file)!r}; received "
            f"{', '.join(repr(value) for value in (name, *numbers.values()))}."
        )
    color = tuple(int(numbers[channel]) for channel in ("r", "g", "b"))
    return {"name": name, "color": color} | ({"value": int(numbers["value"])} if "value" in numbers else {})
