"""Lists of pictures to leave out: the fix for what a check finds is a list, never a deletion."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path

from opsin.atomic import write_bytes
from opsin.errors import UsageError

COLUMNS = ("path", "reason")


def write_skip_list(path: str | Path, reasons: Mapping[str, str]) -> None:
    """Write a CSV of pictures and why they are left out.

    Args:
        path: the file to write.
        reasons: by the picture's path, as the data set names it.

    Raises:
        SavingError: it cannot be written.
    """
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(reasons.items())
    write_bytes(path, buffer.getvalue().encode("utf-8", "surrogateescape"))


def read_skip_list(path: str | Path) -> dict[str, str]:
    """Return the pictures that a CSV with a column `path` lists, and why.

    Raises:
        UsageError: there is no such file, or it is no such list.
    """
    try:
        with Path(path).open(encoding="utf-8-sig", errors="surrogateescape", newline="") as handle:
            reader = csv.DictReader(handle, strict=True)
            if "path" not in (reader.fieldnames or []):
                raise UsageError(
                    f"Expected a CSV with a column path; the first line of {str(path)!r} has "
                    f"{', '.join(reader.fieldnames or []) or 'nothing'}. opsin check DATA --write-list writes one."
                )
            return {row["path"]: row.get("reason") or "listed" for row in reader if row["path"]}
    except (OSError, csv.Error) as error:
        raise UsageError(f"Expected a list of pictures to leave out; {str(path)!r} cannot be read: {error}.") from error
