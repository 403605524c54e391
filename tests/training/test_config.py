import dataclasses
import inspect

import pytest

from opsin.cli.train import train as train_command
from opsin.errors import UsageError
from opsin.training.config import TrainConfig

NOT_SETTINGS = {"context", "data", "out", "preview_augment", "config", "resume", "as_json", "compare_scratch"}
NOT_SETTINGS |= {"strict_data"}


def test_settings_written_as_toml_come_back_equal(tmp_path):
    settings = TrainConfig(architecture="lenet5", image_size=48, learning_rate=0.5, cache=False, seed=7)

    settings.save_toml(tmp_path / "config.toml")

    assert TrainConfig.from_toml(tmp_path / "config.toml") == settings


def test_what_is_left_open_stays_open_in_toml(tmp_path):
    TrainConfig().save_toml(tmp_path / "config.toml")

    assert TrainConfig.from_toml(tmp_path / "config.toml") == TrainConfig()


def test_the_command_line_has_every_setting_with_the_same_default():
    options = {
        "architecture" if name == "arch" else name: parameter.default.default
        for name, parameter in inspect.signature(train_command).parameters.items()
        if name not in NOT_SETTINGS
    }

    assert options == dataclasses.asdict(TrainConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_size": 0}, "Expected image_size from 1 to 8192 pixels; received 0"),
        ({"epochs": 0}, "Expected epochs of at least 1; received 0"),
        ({"epochs": 2.5}, "Expected epochs to be of type int; received 2.5"),
        ({"batch_size": True}, "Expected batch_size to be of type int; received True"),
        ({"learning_rate": -1.0}, "Expected learning_rate above 0"),
        ({"learning_rate": "fnd"}, "Did you mean 'find'"),
        ({"budget": "soon"}, "Expected a budget as a number and s, m or h"),
        ({"unfreeze": "some"}, "or a number of layers. Received 'some'"),
        ({"unfreeze": "20", "unfreeze_blocks": 1}, "received both"),
        ({"architecture": "resnet19"}, "Did you mean 'resnet18'"),
        ({"augment": "storng"}, "Did you mean 'strong'"),
        ({"optimizer": "sgd-nestrov"}, "Did you mean 'sgd-nesterov'"),
        ({"fit": "squeeze"}, "Expected one of these as fit"),
        ({"seed": -1}, "Expected seed from 0"),
    ],
)
def test_a_wrong_setting_says_what_is_expected(settings, message):
    with pytest.raises(UsageError, match=message):
        TrainConfig(**settings)


def test_a_whole_number_is_a_fraction_too():
    assert TrainConfig(warmup_epochs=2).warmup_epochs == 2


def test_an_unknown_setting_in_toml_names_the_closest_one(tmp_path):
    (tmp_path / "recipe.toml").write_text("epoch = 3\n")

    with pytest.raises(UsageError, match="Did you mean 'epochs'"):
        TrainConfig.from_toml(tmp_path / "recipe.toml")


@pytest.mark.parametrize("content", ["epochs = ", "epochs = '3'", "[train]\nepochs = 3"])
def test_toml_that_cannot_be_used_is_an_error(tmp_path, content):
    (tmp_path / "recipe.toml").write_text(content)

    with pytest.raises(UsageError):
        TrainConfig.from_toml(tmp_path / "recipe.toml")


def test_a_missing_toml_file_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="No such file"):
        TrainConfig.from_toml(tmp_path / "recipe.toml")
