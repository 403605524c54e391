import json

from opsin.training.config import TrainConfig
from opsin.training.state import TrainingState


def rows(*values: tuple[float, float]) -> list[dict]:
    return [{"epoch": i + 1, "val_accuracy": accuracy, "val_loss": loss} for i, (accuracy, loss) in enumerate(values)]


def after(config: TrainConfig, *values: tuple[float, float]) -> TrainingState:
    state = TrainingState()
    for row in rows(*values):
        state.finish_epoch(row, config)
    return state


def test_the_best_epoch_is_that_of_the_highest_accuracy():
    assert after(TrainConfig(), (0.5, 1.0), (0.7, 2.0), (0.6, 0.1)).best_epoch == 2


def test_of_two_epochs_with_one_accuracy_the_lower_loss_wins():
    assert after(TrainConfig(), (0.5, 1.0), (0.5, 0.9), (0.5, 0.95)).best_epoch == 2


def test_with_val_loss_the_lowest_loss_wins():
    assert after(TrainConfig(monitor="val_loss"), (0.5, 1.0), (0.9, 2.0), (0.1, 0.5)).best_epoch == 3


def test_patience_counts_the_epochs_since_the_best_one():
    config = TrainConfig(patience=2)

    assert not after(config, (0.5, 1.0), (0.4, 1.0)).out_of_patience(config)
    assert after(config, (0.5, 1.0), (0.4, 1.0), (0.4, 1.0)).out_of_patience(config)


def test_patience_of_zero_never_ends():
    config = TrainConfig(patience=0)

    assert not after(config, *[(0.5, 1.0)] * 50).out_of_patience(config)


def test_a_plateau_halves_the_rate_each_time_it_has_lasted_long_enough():
    config = TrainConfig(schedule="reduce-on-plateau", plateau_patience=2)

    assert after(config, *[(0.5, 1.0)] * 3).rate_factor == 0.5
    assert after(config, *[(0.5, 1.0)] * 5).rate_factor == 0.25
    assert after(TrainConfig(), *[(0.5, 1.0)] * 5).rate_factor == 1.0


def test_a_state_that_went_through_json_is_the_same():
    state = after(TrainConfig(), (0.5, 1.0), (0.4, 1.0))

    assert TrainingState.from_dict(json.loads(json.dumps(state.to_dict()))) == state
    assert TrainingState.from_dict(json.loads(json.dumps(TrainingState().to_dict()))) == TrainingState()
