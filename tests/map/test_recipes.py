"""Every recipe can be taken as it stands."""

import re
from pathlib import Path

import pytest

from opsin.training.config import TrainConfig

ROOT = Path(__file__).resolve().parents[2]
RECIPES = sorted((ROOT / "recipes").glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_holds_settings_and_its_command(recipe):
    assert TrainConfig.from_toml(recipe) != TrainConfig()
    assert re.search(rf"^#   opsin train .*--config recipes/{recipe.name}", recipe.read_text(), flags=re.M)


def test_there_are_recipes():
    assert RECIPES
