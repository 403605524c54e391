"""The rival of `benchmarks.transfer`: transfer learning as Keras's own guide does it, timed from inside.

`image_dataset_from_directory`, random flips, rotation and zoom, a frozen backbone that is called with `training=False`,
average pooling, dropout, a dense layer, Adam at 1e-3; and, with `--unfreeze`, the layers from one name on at 1e-5. It
prints one JSON document.
"""

import argparse
import json
import sys
import time
from pathlib import Path

SIDE, BATCH = 224, 32


def main() -> None:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a folder with train/, val/ and test/ of class folders")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--unfreeze", help="then train the layers from this one on for as many epochs")
    options = parser.parse_args()
    started = time.perf_counter()
    import keras

    keras.utils.set_random_seed(options.seed)
    sets = {
        part: keras.utils.image_dataset_from_directory(
            options.data / part, image_size=(SIDE, SIDE), batch_size=BATCH, shuffle=part == "train", seed=options.seed
        )
        for part in ("train", "val", "test")
    }
    paths = [Path(path).name for path in sets["test"].file_paths]
    class_names = sets["train"].class_names
    sets = {part: batches.prefetch(2) for part, batches in sets.items()}
    backbone = keras.applications.MobileNetV2(include_top=False, weights=options.weights, input_shape=(SIDE, SIDE, 3))
    backbone.trainable = False
    image = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.RandomFlip("horizontal")(image)
    x = keras.layers.RandomRotation(0.1)(x)
    x = keras.layers.RandomZoom(0.1)(x)
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(x)
    x = backbone(x, training=False)
    x = keras.layers.GlobalAveragePooling2D()(x)
    x = keras.layers.Dropout(0.2)(x)
    model = keras.Model(image, keras.layers.Dense(len(class_names))(x))
    clock, seconds = _clock()
    _compile(model, 1e-3)
    model.fit(sets["train"], validation_data=sets["val"], epochs=options.epochs, verbose=0, callbacks=[clock])
    document = {"epochs": seconds, "seconds": time.perf_counter() - started}
    document |= _judge(model, sets["test"], paths)
    if options.unfreeze:
        backbone.trainable = True
        names = [layer.name for layer in backbone.layers]
        for layer in backbone.layers[: names.index(options.unfreeze)]:
            layer.trainable = False
        for layer in backbone.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False
        clock, seconds = _clock()
        _compile(model, 1e-4)
        model.fit(sets["train"], validation_data=sets["val"], epochs=options.epochs, verbose=0, callbacks=[clock])
        document |= {"fine_tuning_epochs": seconds, "fine_tuned": _judge(model, sets["test"], paths)}
    json.dump(document, sys.stdout)


def _compile(model, rate: float) -> None:
    import keras

    # Keras's own choice on a CPU, XLA, is several times slower for convolutions: the rival shall not lose by that.
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        jit_compile=False,
    )


def _judge(model, batches, paths: list[str]) -> dict:
    import numpy as np

    labels = np.concatenate([labels for _, labels in batches])
    right = model.predict(batches, verbose=0).argmax(axis=1) == labels
    return {"accuracy": float(right.mean()), "right": dict(zip(paths, right.tolist(), strict=True))}


def _clock():
    """Return a callback that writes down the seconds of each epoch, validation included."""
    import keras

    seconds: list[float] = []
    began = [0.0]
    callback = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: began.__setitem__(0, time.perf_counter()),
        on_epoch_end=lambda epoch, logs: seconds.append(time.perf_counter() - began[0]),
    )
    return callback, seconds


if __name__ == "__main__":
    main()
