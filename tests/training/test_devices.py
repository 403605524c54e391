import subprocess
import sys

import keras
import pytest

from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.train import train

SMALL = {"architecture": "cifar_cnn", "image_size": 24, "epochs": 2, "batch_size": 12, "augment": "none"}

TWO_DEVICES = """
import contextlib, sys
import tensorflow

processor = tensorflow.config.list_physical_devices("CPU")[0]
halves = [tensorflow.config.LogicalDeviceConfiguration()] * 2
tensorflow.config.set_logical_device_configuration(processor, halves)

import opsin
from opsin.training import network

@contextlib.contextmanager
def both_halves():
    with tensorflow.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
        yield

def die(event):
    if event["event"] == "epoch_ended" and event["epoch"] == 1:
        raise KeyboardInterrupt

network.device_scope = both_halves
parts = opsin.ImageDataset.from_folder(sys.argv[1]).split(0.2, 0.2)
config = opsin.TrainConfig(architecture="cifar_cnn", image_size=24, epochs=2, batch_size=12, augment="none")
try:
    opsin.train(parts.train, parts.val, config, test=parts.test, out=opsin.RunFolder.create(sys.argv[2], [die]))
except KeyboardInterrupt:
    run = opsin.train(parts.train, parts.val, config, test=parts.test, out=opsin.RunFolder.resume(sys.argv[2]))
assert [row["epoch"] for row in run.history] == [1, 2]
"""


@pytest.mark.slow
def test_a_training_on_two_mirrored_devices_is_saved_and_resumed(colors, tmp_path):
    command = [sys.executable, "-c", TWO_DEVICES, str(colors.root), str(tmp_path / "run")]

    done = subprocess.run(command, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "model" / "engines" / "model.tflite").is_file()


def test_a_network_trained_in_mixed_precision_is_saved_in_float32(colors, tmp_path):
    parts = colors.split(0.2, 0.2, seed=0)
    settings = TrainConfig(**SMALL, precision="mixed_float16")

    run = train(parts.train, parts.val, settings, test=parts.test, out=RunFolder.create(tmp_path / "run"))

    network = keras.saving.load_model(run.folder / "model" / "model.keras")
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert {weight.dtype for weight in network.weights} == {"float32"}
    assert keras.config.dtype_policy().name == "float32"


def test_tensorboard_logs_are_written_where_they_are_asked_for(colors, tmp_path):
    parts = colors.split(0.2, 0.2, seed=0)
    settings = TrainConfig(**SMALL, tensorboard=True).replace(epochs=1)

    run = train(parts.train, parts.val, settings, out=RunFolder.create(tmp_path / "run"))

    assert {path.name for path in (run.folder / "tensorboard").iterdir()} == {"train", "validation"}
