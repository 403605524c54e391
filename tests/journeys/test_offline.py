import os
import socket
import subprocess
import sys

import pytest

import opsin
from opsin.training.run_folder import RunFolder


def test_training_evaluating_and_predicting_open_no_connection(tiny_data, tmp_path, monkeypatch):
    def refuse(*arguments, **more):
        raise AssertionError(f"a connection was asked for: {arguments}")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    parts = opsin.ImageDataset.from_folder(tiny_data).split()
    settings = opsin.TrainConfig(architecture="simple_cnn", image_size=24, epochs=1, batch_size=16)

    run = opsin.train(parts.train, parts.val, settings, test=parts.test, out=RunFolder.create(tmp_path / "run"))

    assert opsin.evaluate(run.classifier, parts.test).metrics.n == len(parts.test)
    assert run.classifier.predict(parts.test.paths[0]).label in parts.train.class_names


@pytest.mark.parametrize("package", ["openvino", "nncf"])
def test_what_reports_its_use_to_its_makers_is_kept_from_it(package, tmp_path):
    # In a process of its own: within pytest NNCF reports nothing in any case.
    code = (
        "import sys, time\n"
        "asked = []\n"
        "watched = ('socket.connect', 'socket.getaddrinfo', 'socket.sendto')\n"
        "sys.addaudithook(lambda event, arguments: asked.append((event, arguments)) if event in watched else None)\n"
        "from opsin.catalog import require\n"
        f"require({package!r}, 'a test')\n"
        "time.sleep(1)\n"  # Reports are sent by threads.
        "print(asked)\n"
    )
    home = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}

    done = subprocess.run([sys.executable, "-c", code], env={**os.environ, **home}, capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert list(tmp_path.iterdir()) == []
