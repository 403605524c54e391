"""What `opsin explain` draws of the inside of a network: maps of a layer, filters, what a channel likes."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opsin.cli.account import one_line
from opsin.cli.explaining import places_for
from opsin.cli.sources import Search
from opsin.errors import PictureError
from opsin.explanation.channels import (
    LayerHealth,
    feature_maps,
    first_filters,
    inspect_channels,
    most_exciting,
    require_channel,
)
from opsin.explanation.dreaming import maximize
from opsin.explanation.inside_sheets import draw_channel, draw_filters, draw_maps
from opsin.explanation.network import ImageNetwork
from opsin.images.drawing import save_image


@dataclass(frozen=True)
class Look:
    """What is looked at: a layer, a channel of it, the pictures for it, and where the sheet goes."""

    layer: str | None
    colors: str
    channel: int | None
    data: Path | None
    out: Path | None


@dataclass(frozen=True)
class Found:
    """What came of it: lines for the terminal, values for JSON, the sheet; or an error."""

    lines: Sequence[str] = ()
    values: dict[str, Any] = field(default_factory=dict)
    file: Path | None = None
    error: str | None = None

    def text(self) -> str:
        """Return it for the terminal."""
        return "\n".join([*self.lines, *([f"drawn in {self.file}"] if self.file else [])])

    def document(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**self.values, "error": self.error} if self.error else {**self.values, "file": str(self.file)}


def maps(open_network: Callable[[], ImageNetwork], pictures: Sequence[str], look: Look) -> Iterator[Found]:
    """Draw the maps of a layer on each picture."""
    files = places_for(pictures, look.out, "maps")
    network = open_network()
    network.place(look.layer)
    return (_maps_of(network, picture, file, look) for picture, file in zip(pictures, files, strict=True))


def filters(open_network: Callable[[], ImageNetwork], pictures: Sequence[str], look: Look) -> Iterator[Found]:
    """Draw the first layer's filters, and count over the pictures what is dead or there twice."""
    (file,) = places_for(["filters"], look.out, "", exist=False)
    paths = _pictures(look.data)
    network = open_network()
    place, kernel = first_filters(network)
    save_image(draw_filters(kernel), file)
    height, width, _, count = kernel.shape
    lines = [f"{count} filters of {height} × {width} in {place.name}"]
    values: dict[str, Any] = {"layer": place.name, "filters": count, "size": [height, width]}
    if paths:
        health = inspect_channels(network, paths)
        lines += _health_lines(health, len(paths))
        values |= {"pictures": len(paths), "layers": [_health_row(one) for one in health]}
    yield Found(lines, values, file)


def channel(open_network: Callable[[], ImageNetwork], pictures: Sequence[str], look: Look) -> Iterator[Found]:
    """Draw what a channel would like to see, and the pictures that excite it most."""
    (file,) = places_for([f"channel-{look.channel}"], look.out, "", exist=False)
    paths = _pictures(look.data)
    network = open_network()
    place = network.place(look.layer)
    require_channel(place, look.channel)
    exciting = most_exciting(network, paths, look.channel, layer=place.name)
    save_image(draw_channel(network, maximize(network, look.channel, layer=place.name), exciting), file)
    lines = [f"channel {look.channel} of {place.name}, {place.shape[-1]} channels"]
    lines += [f"  {one.value:8.4g}  {one_line(one.path)}" for one in exciting]
    rows = [{"path": one.path, "value": one.value, "row": one.row, "column": one.column} for one in exciting]
    yield Found(lines, {"layer": place.name, "channel": look.channel, "excited_by": rows}, file)


def _maps_of(network: ImageNetwork, picture: str, file: Path, look: Look) -> Found:
    try:
        image = network.preprocess.read(picture)
    except PictureError as error:
        return Found(
            [f"{one_line(picture)}  error: {one_line(error.reason)}"], {"picture": picture}, error=error.reason
        )
    place, found = feature_maps(network, image, look.layer)
    save_image(draw_maps(found, colors=look.colors), file)
    height, width, count = found.shape
    silent = int((found.max(axis=(0, 1)) <= 0).sum())
    line = f"{one_line(picture)}: {count} maps of {height} × {width} in {place.name}, {silent} of them silent"
    values = {"picture": picture, "layer": place.name, "shape": [height, width, count], "silent": silent}
    return Found([line], values, file)


def _pictures(data: Path | None) -> list[str]:
    return [] if data is None else [str(path) for path in Search([str(data)]).pictures()]


def _health_lines(health: Sequence[LayerHealth], pictures: int) -> Iterator[str]:
    dead, duplicated = sum(len(one.dead) for one in health), sum(len(one.duplicated) for one in health)
    total = sum(one.channels for one in health)
    yield (
        f"{total:,} channels in {len(health)} layers, over {pictures} pictures: {dead:,} are dead, they give one and "
        f"the same value everywhere; {duplicated:,} filters are there twice."
    )
    for one in health:
        if one.dead or one.duplicated:
            yield f"  {one.layer}: {len(one.dead)} dead, {len(one.duplicated)} duplicated, of {one.channels}"


def _health_row(one: LayerHealth) -> dict[str, Any]:
    return {
        "layer": one.layer,
        "channels": one.channels,
        "dead": list(one.dead),
        "duplicated": list(one.duplicated),
    }
