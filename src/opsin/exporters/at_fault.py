"""Which layers it is that a format cannot express."""

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras


def name_layers(network: "keras.Model", nodes: Iterable[str] = ()) -> str:
    """Return the end of a message: the layers that nodes of a graph come from; `""` if none can be told.

    Args:
        network: what was to be converted.
        nodes: names of graph nodes, which begin with the path of their layer; without any, all layers are named that
            are not Keras's own.
    """
    parts = {part for node in nodes for part in node.split("/")}
    found = [step for step in network.operations if _is_among(step.name, parts)]
    own = [step for step in network.operations if not type(step).__module__.startswith("keras.")]
    named = ", ".join(f"{step.name!r} ({type(step).__name__})" for step in found or own)
    return f" {'It stands in' if found else 'Its layers that are not of Keras'}: {named}." if named else ""


def _is_among(name: str, parts: set[str]) -> bool:
    # Called again, a layer's nodes get a number behind its name.
    pattern = re.compile(re.escape(name) + r"(_\d+)?")
    return any(pattern.fullmatch(part) for part in parts)
