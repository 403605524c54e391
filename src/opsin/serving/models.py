"""The models of a server: their versions, which of them answers, and how long each must stay."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from opsin.serving.servable import Servable
from opsin.serving.status import StatusError, invalid

LOADING, AVAILABLE, UNLOADING, END = "LOADING", "AVAILABLE", "UNLOADING", "END"


def _nothing() -> None:
    pass


@dataclass(eq=False)
class Version:
    """One version of a model.

    Args:
        number: its number.
        servable: what answers; None unless it is available.
        state: as TensorFlow Serving calls it.
        code: what is wrong with it, a code of `opsin.serving.status.HTTP`.
        message: the same for clients, without paths.
        close: what is called when the last request that uses it has been answered and it is not wanted any more.
    """

    number: int
    servable: Servable | None = None
    state: str = LOADING
    code: str = "OK"
    message: str = ""
    close: Callable[[], None] = _nothing
    users: int = 0


@dataclass(eq=False)
class Model:
    """A model under its name. All of it belongs to the thread of the event loop.

    Args:
        name: what it is called in addresses.
        versions: by number.
        labels: other names of versions.
        chosen: the version that answers where none is named; None for the newest.
        starting: whether it is not known yet which versions there are.
    """

    name: str
    versions: dict[int, Version] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)
    chosen: int | None = None
    starting: bool = False

    def available(self) -> list[Version]:
        """Return the versions that answer, newest first."""
        found = [version for version in self.versions.values() if version.state == AVAILABLE]
        return sorted(found, key=lambda version: -version.number)

    def default(self) -> Version | None:
        """Return the version that answers where none is named; None if there is none."""
        found = self.available()
        chosen = [version for version in found if version.number == self.chosen]
        return next(iter((*chosen, *found)), None)

    def put(self, version: Version) -> None:
        """Let a version answer from now on; an older one of the same number retires."""
        old = self.versions.get(version.number)
        version.state = AVAILABLE
        self.versions[version.number] = version
        if old is not None:
            _retire(old)

    def retire(self, number: int, *, forget: bool = False) -> None:
        """Let a version take no more requests; those that it has are answered."""
        version = self.versions[number]
        if forget:
            del self.versions[number]
        _retire(version)


def _retire(version: Version) -> None:
    if version.state == AVAILABLE:
        version.state = UNLOADING
        _close_unused(version)


def _close_unused(version: Version) -> None:
    if version.state == UNLOADING and not version.users:
        close = version.close
        # The version goes on to be told of; its servable, which `close` is bound to, is not kept for that.
        version.state, version.servable, version.close = END, None, _nothing
        close()


class Models:
    """All models of a server, by name."""

    def __init__(self, models: Mapping[str, Model] | None = None):
        self.by_name = dict(models or {})

    def find(self, name: str, number: int | None = None, label: str | None = None) -> tuple[Model, Version]:
        """Return a model and the version that is to answer.

        Args:
            name: the model's.
            number: the version's; None for the one of the label, or the default.
            label: another name of a version.

        Raises:
            StatusError: there is none, or it is not ready.
        """
        model = self.by_name.get(name)
        if label is not None:
            number = (model.labels if model else {}).get(label)
            if number is None:
                raise invalid(f"Unrecognized servable version label: {label[:200]}")
        wanted = f"Latest({name[:200]})" if number is None else f"Specific({name[:200]}, {number})"
        version = None
        if model is not None:
            version = model.default() if number is None else model.versions.get(number)
        if model is not None and _is_starting(model, number, version):
            raise StatusError("UNAVAILABLE", f"{wanted} is being loaded. Try again.", {"Retry-After": "1"})
        if version is None or version.state != AVAILABLE:
            raise StatusError("NOT_FOUND", f"Servable not found for request: {wanted}")
        return model, version

    def choose(self, name: str, number: int | None) -> Version:
        """Let a version answer where none is named.

        Args:
            name: the model's.
            number: the version's; None for the newest, whichever that is.

        Returns:
            The version that answers from now on.

        Raises:
            StatusError: it is not loaded.
        """
        model, version = self.find(name, number)
        model.chosen = number
        return version if number is not None else self.find(name)[1]

    def states(self, name: str, number: int | None = None) -> list[Version]:
        """Return a model's versions, newest first, or one of them.

        Raises:
            StatusError: there is none.
        """
        model = self.by_name.get(name)
        versions = sorted(model.versions.values(), key=lambda one: -one.number) if model else []
        if not versions:
            raise StatusError("NOT_FOUND", f"Could not find any versions of model {name[:200]}")
        if number is None:
            return versions
        if number not in model.versions:
            raise StatusError("NOT_FOUND", f"Could not find version {number} of model {name[:200]}")
        return [model.versions[number]]

    def ready(self) -> bool:
        """Tell whether every model has a version that answers."""
        return bool(self.by_name) and all(model.default() for model in self.by_name.values())


def _is_starting(model: Model, number: int | None, version: Version | None) -> bool:
    if version is not None:
        return version.state == LOADING
    # Of a version that is named it is known whether it is there, once the folder has been looked at.
    return model.starting or (number is None and any(one.state == LOADING for one in model.versions.values()))


@contextlib.contextmanager
def using(version: Version) -> Iterator[Servable]:
    """Keep a version until the block ends, even if another takes its place."""
    assert version.servable is not None
    version.users += 1
    try:
        yield version.servable
    finally:
        version.users -= 1
        _close_unused(version)
