"""Prediction in the workers of a Ray cluster. What needs Ray itself is slow, and skipped where it is not installed."""

import functools
import os
import signal
import socket
import sys
from pathlib import Path

import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.cluster import TRIES, Predictor, predict_on_cluster
from opsin.errors import ExitCode, MissingPackageError, PictureError, UsageError


class Suicidal:
    """A classifier whose process is killed before it reads the `victim`, as long as `times` files are not there."""

    def __init__(self, run, victim, notes, times):
        self.classifier = Classifier.open(run, threads=1)
        self.class_names = self.classifier.class_names
        self.victim, self.notes, self.times = victim, notes, times

    def predict_many(self, sources, *, batch_size):
        def noted():
            for source in sources:
                if source == self.victim and (died := len(list(self.notes.iterdir()))) < self.times:
                    (self.notes / f"{died}-{os.getpid()}").touch()
                    os.kill(os.getpid(), signal.SIGKILL)
                yield source

        return self.classifier.predict_many(noted(), batch_size=batch_size)


@pytest.fixture
def photos(pictures):
    """Forty pictures, of which the fourth is no picture."""
    folder = pictures({"photos": 40}) / "photos"
    (folder / "3.png").write_bytes(b"broken")
    return [str(folder / f"{number}.png") for number in range(40)]


@pytest.fixture
def ray():
    found = pytest.importorskip("ray")
    # Workers cannot import tests.
    found.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    return found


@pytest.fixture
def deaths(tmp_path):
    folder = tmp_path / "deaths"
    folder.mkdir()
    return folder


def told(answers):
    return [
        (a.path, a.reason) if isinstance(a, PictureError) else (a.path, a.probabilities.round(6).tolist())
        for a in answers
    ]


def batch_of(sources):
    encoded = np.array([os.fsencode(source) for source in sources], dtype=object)
    return {"number": np.arange(len(sources)), "source": encoded, "is_link": np.zeros(len(sources), bool)}


def test_the_map_gives_a_row_for_each_picture_and_an_error_for_one_that_cannot_be_read(tiny_run, photos):
    expected = [Classifier.open(tiny_run).predict(path).probabilities for path in (photos[2], photos[4])]

    rows = Predictor(functools.partial(Classifier.open, tiny_run))(batch_of(photos[2:5]))

    assert rows["number"].tolist() == [0, 1, 2]
    np.testing.assert_allclose(rows["probabilities"][[0, 2]], expected, atol=1e-6)
    assert np.isnan(rows["probabilities"][1]).all()
    assert ["its content is none of the formats" in error for error in rows["error"]] == [False, True, False]
    assert rows["refused"].tolist() == [False] * 3


def test_an_address_is_fetched_by_the_worker_under_the_rules_of_addresses(tiny_run):
    batch = {**batch_of(["http://127.0.0.1:1/cat.png"]), "is_link": np.ones(1, bool)}

    (error,) = Predictor(functools.partial(Classifier.open, tiny_run))(batch)["error"]

    assert "127.0.0.1" in error


def test_a_picture_that_worker_after_worker_died_of_is_an_error_and_its_neighbours_are_not(tiny_run, photos):
    begun = {("task", 0): 2, ("picture", 1): TRIES + 1}

    rows = Predictor(functools.partial(Classifier.open, tiny_run), 16, lambda *what: begun.get(what, 1))(
        batch_of(photos[:3])
    )

    assert rows["error"] == ["", f"{TRIES} workers died when they read it", ""]


def test_less_than_one_worker_is_refused_before_anything_starts(tiny_run):
    with pytest.raises(UsageError, match="at least 1 worker; received 0"):
        predict_on_cluster(functools.partial(Classifier.open, tiny_run), [], ("a",), workers=0)


def test_without_ray_the_install_line_is_said_and_no_file_is_made(opsin, tiny_run, photos, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    with pytest.raises(MissingPackageError, match=r"pip install 'opsin\[ray\]'"):
        predict_on_cluster(functools.partial(Classifier.open, tiny_run), photos, ("a",))

    answer = opsin("predict", tiny_run, photos[0], "--engine", "ray", "--out", tmp_path / "a.csv")
    assert answer.code == ExitCode.MISSING_PACKAGE
    assert not (tmp_path / "a.csv").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--engine", "dask"], "local, ray"),
        (["--workers", "2"], "--engine ray with --workers"),
        (["--engine", "ray", "--watch", "."], "--watch"),
    ],
)
def test_what_makes_no_sense_with_an_engine_is_refused(opsin, tiny_run, photos, options, words):
    answer = opsin("predict", tiny_run, photos[0], *options)

    assert answer.code == ExitCode.USAGE
    assert words in answer.err


@pytest.mark.slow
def test_a_cluster_of_this_machine_answers_as_one_process_does_and_resumes(ray, opsin, tiny_run, photos, tmp_path):
    folder = Path(photos[0]).parent
    plain = opsin("predict", tiny_run, folder, "--format", "jsonl")
    out = tmp_path / "answers.jsonl"
    out.write_text("".join(plain.out.splitlines(keepends=True)[:7]))

    answer = opsin("predict", tiny_run, folder, "--engine", "ray", "--workers", 2, "--out", out, "--resume")

    assert (answer.code, answer.err) == (ExitCode.UNUSABLE, "")
    assert out.read_text() == plain.out
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_a_cluster_that_is_not_there_is_said_at_once(ray, opsin, tiny_run, photos, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{unused.getsockname()[1]}")

        answer = opsin("predict", tiny_run, photos[0], "--engine", "ray")

    assert answer.code == ExitCode.UNUSABLE
    assert "Expected the cluster at RAY_ADDRESS='127.0.0.1:" in answer.err


@pytest.mark.slow
def test_no_row_is_lost_when_a_worker_is_killed(ray, tiny_run, photos, deaths):
    classifier = Classifier.open(tiny_run)
    open_classifier = functools.partial(Suicidal, tiny_run, photos[20], deaths, times=1)

    answers = list(predict_on_cluster(open_classifier, photos, classifier.class_names, workers=2))

    assert len(list(deaths.glob("0-*"))) == 1
    assert told(answers) == told(classifier.predict_many(photos))


@pytest.mark.slow
def test_a_picture_that_kills_its_worker_becomes_an_error_row(ray, tiny_run, photos, deaths):
    classifier = Classifier.open(tiny_run)
    open_classifier = functools.partial(Suicidal, tiny_run, photos[20], deaths, times=100)

    answers = list(predict_on_cluster(open_classifier, photos, classifier.class_names, workers=2))

    expected = told(classifier.predict_many(photos))
    expected[20] = photos[20], f"{TRIES} workers died when they read it"
    assert told(answers) == expected
