"""What a server is told: from flags, the environment and a TOML file, in this order."""

import dataclasses
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsin.errors import UsageError
from opsin.images.decode import MAX_PIXELS

PREFIX = "OPSIN_SERVE_"
"""In front of a setting's name in the environment."""
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_MIB = 2**20
_LABEL = re.compile(r"([^:/=]+):([^:/=]+)=(\d{1,18})", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """How to serve.

    Args:
        host: the address to listen at.
        port: the port; 0 for any that is free.
        workers: how many processes answer, each with its own copy of the models.
        api_key: what clients must send as `Authorization: Bearer KEY` or `X-API-Key: KEY`; empty for none.
        no_auth: whether anybody may ask who reaches an address that is not this machine's own.
        allow_host: names that requests may be addressed to, beside this machine's own; `*` for any.
        allow_origin: web pages, `https://app.example` say, whose scripts may ask.
        threads: how many threads the network may use; 0 for all cores, of which each of several workers has its share.
        batch: how many pictures the network sees at once, at most; 1: each alone.
        delay: how long a picture waits for others that are on their way, in seconds, at most.
        queue: how many pictures may wait for an answer, of each model.
        timeout: seconds a request may take, once it is read.
        read_timeout: seconds a client may take to send a request, and to take in what it is sent.
        drain: seconds between SIGTERM, when nothing new is taken any more, and the end of listening.
        stop_timeout: seconds that requests in flight have after that.
        max_bytes: of a request, as it comes and as it is when it is unpacked.
        max_bytes_in_flight: of all requests that are being read or answered.
        max_pixels: of a picture; at most 100 million.
        max_pictures: in a request.
        max_values: in a request's JSON.
        max_connections: at a time.
        poll: seconds between two looks at a folder of versions.
        keep: how many versions of a folder stay loaded, the newest ones: the one before can be brought back at once.
        label: other names of versions, `MODEL:LABEL=NUMBER` each; those versions stay loaded.
        threshold: call a picture unknown whose best class is less probable; None: what the model's card has for
            that, where it has it.
        access_log: whether each request is a line on stdout.
        explain: whether `:explain_image` is answered, which loads TensorFlow into a process of its own.

    Raises:
        UsageError: a value is not one of these.
    """

    host: str = "127.0.0.1"
    port: int = 8501
    workers: int = 1
    api_key: str = field(default="", repr=False)
    no_auth: bool = False
    allow_host: tuple[str, ...] = ()
    allow_origin: tuple[str, ...] = ()
    threads: int = 0
    batch: int = 8
    delay: float = 0.002
    queue: int = 128
    timeout: float = 30.0
    read_timeout: float = 30.0
    drain: float = 0.5
    stop_timeout: float = 30.0
    max_bytes: int = 32 * _MIB
    max_bytes_in_flight: int = 256 * _MIB
    max_pixels: int = 50_000_000
    max_pictures: int = 64
    max_values: int = 5_000_000
    max_connections: int = 512
    poll: float = 1.0
    keep: int = 2
    label: tuple[str, ...] = ()
    threshold: float | None = None
    access_log: bool = True
    explain: bool = True

    def __post_init__(self):
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if not value >= least:
                raise UsageError(f"Expected {_flag(name)} to be at least {least}; received {value}.")
        if self.max_pixels > MAX_PIXELS:
            raise UsageError(f"Expected --max-pixels of at most {MAX_PIXELS}; received {self.max_pixels}.")
        if not 0 <= self.port <= 65535:
            raise UsageError(f"Expected --port from 0 to 65535; received {self.port}.")
        if self.threshold is not None and not 0 <= self.threshold <= 1:
            raise UsageError(f"Expected --threshold from 0 to 1; received {self.threshold}.")
        for label in self.label:
            if not _LABEL.fullmatch(label):
                raise UsageError(f"Expected --label as MODEL:LABEL=NUMBER; received {label!r}.")
        for origin in self.allow_origin:
            if not origin.startswith(("http://", "https://")):
                raise UsageError(f"Expected --allow-origin as https://app.example; received {origin!r}.")
        if not (self.is_loopback or self.api_key or self.no_auth):
            raise UsageError(
                f"Expected --api-key with --host {self.host}, which others can reach; received none. Add one, or say "
                "--no-auth if anybody may ask."
            )
        if self.api_key and (len(self.api_key) < 8 or not self.api_key.isascii()):
            raise UsageError(
                "Expected --api-key of at least 8 ASCII characters; received another. Choose a longer one."
            )

    def labels_of(self, model: str) -> dict[str, int]:
        """Return the labels of a model's versions."""
        matches = [match for label in self.label if (match := _LABEL.fullmatch(label)) and match[1] == model]
        return {match[2]: int(match[3]) for match in matches}

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the address."""
        return self.host in _LOOPBACK or self.host.startswith("127.")

    @property
    def hosts(self) -> frozenset[str]:
        """The names that requests may be addressed to."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset(name.lower() for name in (*_LOOPBACK, *own, *self.allow_host))


_LEAST = {
    **dict.fromkeys(("workers", "batch", "queue", "max_bytes", "max_bytes_in_flight", "max_pixels"), 1),
    **dict.fromkeys(("max_pictures", "max_values", "max_connections", "keep"), 1),
    **dict.fromkeys(("threads", "delay", "drain", "stop_timeout"), 0),
    **dict.fromkeys(("timeout", "read_timeout", "poll"), 0.01),
}


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def resolve_settings(
    given: Mapping[str, Any], *, config: Path | None = None, environment: Mapping[str, str] | None = None
) -> tuple[Settings, dict[str, str]]:
    """Return the settings, and the models that the file names, by name.

    Args:
        given: those of the command line, by name; None for what was not given.
        config: a TOML file with settings by name and a table `models`.
        environment: `OPSIN_SERVE_PORT` and so on; None for this process's own.

    Raises:
        UsageError: there is no such file or setting, or a value is of another type.
    """
    environment = os.environ if environment is None else environment
    document = {} if config is None else _read(config)
    models = document.pop("models", {})
    if not isinstance(models, dict) or not all(isinstance(path, str) for path in models.values()):
        raise UsageError(f"Expected [models] with paths by name in {str(config)!r}; received {models!r}.")
    fields = {one.name: one for one in dataclasses.fields(Settings)}
    if unknown := sorted(document.keys() - fields.keys()):
        raise UsageError(
            f"Expected settings of the server in {str(config)!r}: {', '.join(fields)}, models. Received also "
            f"{', '.join(unknown)}. Remove them."
        )
    values: dict[str, Any] = {}
    for name, one in fields.items():
        default = 0.0 if one.name == "threshold" else one.default
        if name in document:
            values[name] = _convert(name, document[name], default, f"in {str(config)!r}")
        if PREFIX + name.upper() in environment:
            values[name] = _convert(name, environment[PREFIX + name.upper()], default, "in the environment")
        if given.get(name) is not None:
            values[name] = given[name]
    return Settings(**values), models


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UsageError(f"Expected a TOML file; there is nothing at {str(path)!r}. Check the path.") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"Expected a TOML file; {str(path)!r} cannot be read: {error}.") from error


def _convert(name: str, value: Any, default: Any, where: str) -> Any:
    kind = type(default)
    try:
        if kind is tuple:
            items = value.split(",") if isinstance(value, str) else map(str, value)
            return tuple(item.strip() for item in items if item.strip())
        if kind is bool:
            return value if isinstance(value, bool) else {"1": True, "true": True, "0": False, "false": False}[value]
        if isinstance(value, bool):
            raise ValueError
        return kind(value)
    except (ValueError, TypeError, KeyError) as error:
        raise UsageError(f"Expected {name} {where} as {kind.__name__}; received {value!r}.") from error
