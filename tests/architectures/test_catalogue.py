import subprocess
import sys

import pytest

from opsin.architectures import ARCHITECTURES, build_network
from opsin.architectures.pretrained_entries import PRETRAINED
from opsin.architectures.scratch_entries import SCRATCH
from opsin.catalog import resolve
from opsin.errors import UsageError


def test_listing_the_catalogue_loads_neither_tensorflow_nor_keras():
    script = (
        "import sys; from opsin.architectures import ARCHITECTURES; "
        "print(len(ARCHITECTURES), {'tensorflow', 'keras'} & set(sys.modules))"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == f"{len(ARCHITECTURES)} set()"


def test_no_name_stands_for_two_networks():
    assert not set(SCRATCH) & set(PRETRAINED)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_entry_names_a_function_and_can_build_its_natural_size(name):
    architecture = ARCHITECTURES[name]

    assert callable(resolve(architecture.builder))
    assert architecture.least_size <= architecture.image_size
    assert "\n" not in architecture.description


def test_an_unknown_name_is_refused_with_the_closest_one():
    with pytest.raises(UsageError, match=r"Received 'mobilnet_v2'\. Did you mean 'mobilenet_v2'\?"):
        build_network("mobilnet_v2", (32, 32, 3), 2)


def test_two_classes_are_one_sigmoid_unit_only_for_cats_and_dogs():
    assert build_network("cats_dogs_cnn", (22, 22, 3), 2).output.shape == (None, 1)
    assert build_network("simple_cnn", (32, 32, 3), 2).output.shape == (None, 2)
