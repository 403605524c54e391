"""Keras without the packages that it only imports to offer something for them: a quarter of its start."""

import gc
import sys

from opsin.catalog import require

# `keras.wrappers`, and Keras's own plots of pictures and of graphs: no command uses them.
_OFFERED = ("sklearn", "matplotlib.pyplot", "pydot")


def import_keras(purpose: str) -> None:
    """Import Keras as where these packages are not installed, which it is made for; afterwards they are there again.

    Only for a program that ends with its command: Keras's offers stay out of order in it.

    Raises:
        MissingPackageError: Keras itself is not installed.
    """
    if "keras" in sys.modules:
        return
    absent = [name for name in _OFFERED if name not in sys.modules]
    # None is Python's word for a module that is not there.
    sys.modules.update(dict.fromkeys(absent))
    # What an import makes stays; looking through it for what does not is another tenth.
    gc.disable()
    try:
        require("keras", purpose)
    finally:
        gc.freeze()
        gc.enable()
        for name in absent:
            del sys.modules[name]
