import csv
import json

import keras
import numpy as np
import pytest

from opsin.training.config import TrainConfig
from opsin.training.fit import Phase
from opsin.training.network import compile_network
from opsin.training.rate_finder import LOWEST, choose_rate, settle_rate, try_rates
from opsin.training.run_folder import RunFolder
from opsin.training.stopping import Deadline, StoppedByUser, StopRequest
from opsin.training.train import train

FINDING = TrainConfig(
    architecture="simple_cnn",
    learning_rate="find",
    optimizer="sgd-nesterov",
    schedule="cosine",
    weight_decay=0.0,
    label_smoothing=0.0,
    epochs=30,
    patience=10,
)
"""Settings without any that are left open, but for the rate."""


class Batches(list):
    """Batches of two classes that a single weight can part."""

    def start_epoch(self, epoch):
        self.epoch = epoch


@pytest.fixture
def batches():
    labels = np.arange(16, dtype=np.int32) % 2
    inputs = (2.0 * labels - 1)[:, None].astype("float32")
    return Batches([(inputs, labels, np.ones(16, dtype="float32"))] * 3)


@pytest.fixture
def network():
    keras.utils.set_random_seed(0)
    network = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    compile_network(network, FINDING)
    return network


def test_the_rate_is_a_tenth_of_where_the_loss_is_lowest():
    assert choose_rate([1e-3, 1e-2, 1e-1, 1.0], [2.0, 1.0, 0.5, 9.0]) == pytest.approx(1e-2)


def test_a_loss_that_was_never_a_number_gives_the_lowest_rate():
    assert choose_rate([], []) == LOWEST


def test_the_loss_falls_as_the_rate_rises_until_it_is_too_high(network, batches):
    rates, losses = try_rates(network, batches, StopRequest())

    assert rates == sorted(rates)
    assert min(losses) < 0.9 * losses[0]


def test_a_trial_changes_nothing(network, batches):
    before = [keras.ops.convert_to_numpy(v) for v in (*network.weights, *network.optimizer.variables)]

    try_rates(network, batches, StopRequest())

    after = [keras.ops.convert_to_numpy(v) for v in (*network.weights, *network.optimizer.variables)]
    assert all(map(np.array_equal, before, after))


def test_what_was_found_is_kept_for_resuming(network, batches, tmp_path):
    run = RunFolder.create(tmp_path / "run")
    phase = Phase(tmp_path / "run" / "checkpoint")

    found = settle_rate(network, batches, FINDING, run=run, phase=phase, stop=StopRequest())
    again = settle_rate(network, Batches(), FINDING, run=run, phase=phase, stop=StopRequest())

    assert isinstance(found.learning_rate, float)
    assert again == found


def test_a_trial_that_the_user_cuts_short_leaves_nothing_and_is_made_anew(network, batches, tmp_path):
    run, stop = RunFolder.create(tmp_path / "run"), StopRequest()
    phase = Phase(tmp_path / "run" / "checkpoint")
    stop.made = True

    with pytest.raises(StoppedByUser):
        settle_rate(network, batches, FINDING, run=run, phase=phase, stop=stop)
    left = [path.name for path in run.path.rglob("*")]
    anew = settle_rate(network, batches, FINDING, run=run, phase=phase, stop=StopRequest())

    assert left == ["events.jsonl"]
    assert anew.learning_rate > LOWEST


def test_a_trial_that_a_budget_cuts_short_says_what_it_has_seen(network, batches, tmp_path):
    run = RunFolder.create(tmp_path / "run")
    phase = Phase(tmp_path / "run" / "checkpoint")

    found = settle_rate(network, batches, FINDING, run=run, phase=phase, stop=Deadline(StopRequest(), at=0))

    assert isinstance(found.learning_rate, float)


def test_a_rate_that_is_given_is_left_alone(network, tmp_path):
    settings = FINDING.replace(learning_rate=0.25)

    assert settle_rate(network, Batches(), settings, run=None, phase=None, stop=StopRequest()) is settings


def test_a_run_finds_its_rate_and_draws_how(colors, tmp_path):
    settings = TrainConfig(
        architecture="simple_cnn", image_size=24, epochs=1, batch_size=16, augment="none", learning_rate="find"
    )
    parts = colors.split(0.2, 0.2)

    finished = train(parts.train, parts.val, settings, test=parts.test, out=RunFolder.create(tmp_path / "run"))

    with (finished.folder / "learning_rate.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    notes = [json.loads(line).get("text", "") for line in (finished.folder / "events.jsonl").read_text().splitlines()]
    assert (finished.folder / "learning_rate.png").read_bytes().startswith(b"\x89PNG")
    assert len(rows) > 10
    assert any("Found a learning rate of" in note for note in notes)
    assert 'learning_rate = "find"' in (finished.folder / "config.toml").read_text()
