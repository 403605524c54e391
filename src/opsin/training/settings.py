"""`Settings`: what every kind of settings can do: be checked when made, be copied with changes, be kept as TOML."""

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from opsin.atomic import write_text
from opsin.catalog import choose, require
from opsin.errors import UsageError


@dataclass(frozen=True)
class Settings:
    """Base of settings, each a frozen dataclass whose fields all have defaults."""

    def replace(self, **changes: Any) -> Self:
        """Return a copy with some fields changed.

        Raises:
            UsageError: there is no such field, or the value is not what it takes.
        """
        for name in changes:
            choose("setting", name, [field.name for field in dataclasses.fields(self)])
        return dataclasses.replace(self, **changes)

    def save_toml(self, path: str | Path) -> None:
        """Write all settings as TOML; `from_toml` takes them back."""
        settings = {name: value for name, value in dataclasses.asdict(self).items() if value is not None}
        write_text(path, require("tomli_w", "writing TOML").dumps(settings))

    @classmethod
    def from_toml(cls, path: str | Path) -> Self:
        """Read settings from TOML; what it leaves out has its default.

        Raises:
            UsageError: there is no such file, it is not TOML, or a setting is unknown or wrong.
        """
        path = Path(path)
        try:
            settings = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"Expected a TOML file of settings at {str(path)!r}: {error.strerror}.") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"Expected TOML in {str(path)!r}; it cannot be read: {error}.") from error
        return cls().replace(**settings)


def require_types(settings: Settings) -> None:
    """Raise `UsageError` unless every field has a value of its type."""
    for field in dataclasses.fields(settings):
        kinds = typing.get_args(field.type) or (field.type,)
        value = getattr(settings, field.name)
        # A whole number is fine where a fraction is expected; True is not fine where a number is.
        allowed = (*kinds, int) if float in kinds else kinds
        if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in kinds):
            raise UsageError(f"Expected {field.name} to be of type {kinds[0].__name__}; received {value!r}.")


def require_ranges(settings: Settings, ranges: Mapping[str, tuple[float, float, str]]) -> None:
    """Raise `UsageError` unless numbers are within their ranges.

    Args:
        settings: to be checked; a field that is None or a word is left alone.
        ranges: for each field the lowest and the highest value, and how they are told: `"from 0 to 1"`.
    """
    for name, (low, high, told) in ranges.items():
        value = getattr(settings, name)
        if value is not None and not isinstance(value, str) and not low <= value <= high:
            raise UsageError(f"Expected {name} {told}; received {value}.")
