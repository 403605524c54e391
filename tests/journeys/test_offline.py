import socket

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
