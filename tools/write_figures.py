"""Write `architectures/figures.py`: build every network once and count (minutes): `python tools/write_figures.py`."""

import subprocess
import sys
from pathlib import Path

from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.summary import summarize

CLASSES = 10
TARGET = Path(__file__).resolve().parent.parent / "src" / "opsin" / "architectures" / "figures.py"
HEAD = '''"""What each network of the catalogue weighs and costs, so that nobody has to build one to know.

Parameters and multiply-adds at the size it was drawn for, as `opsin.architectures.summary` counts them: of our own
networks whole, with 10 classes; of those of keras.applications up to the features. Written by
`tools/write_figures.py`.
"""

PARAMETERS_AND_MULTIPLY_ADDS: dict[str, tuple[int, int]] = {
'''


def figures(name: str) -> tuple[int, int]:
    """Return a network's parameters and multiply-adds, as `figures.py` has them."""
    import keras

    keras.utils.clear_session()
    network = build_network(name, ARCHITECTURES[name].input_shape, CLASSES, weights=None)
    if name in PRETRAINED:
        # The wide head is for training from scratch.
        names = [layer.name for layer in network.layers]
        last = "flatten" if "flatten" in names else "features"
        network = keras.Model(network.inputs[0], network.get_layer(last).output)
    summary = summarize(network)
    return summary.parameters, summary.multiply_adds


def main() -> None:
    """Write the file."""
    lines = []
    for name in ARCHITECTURES:
        parameters, multiply_adds = figures(name)
        lines.append(f'    "{name}": ({parameters:_}, {multiply_adds:_}),\n')
        print(lines[-1], end="", flush=True)
    TARGET.write_text(HEAD + "".join(lines) + "}\n", encoding="utf-8")
    subprocess.run([sys.executable, "-m", "ruff", "format", str(TARGET)], check=True)


if __name__ == "__main__":
    main()
