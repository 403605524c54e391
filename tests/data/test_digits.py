"""scikit-learn's digits as class folders."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from opsin.data.dataset import ImageDataset
from opsin.data.digits import write_digits
from opsin.errors import UsageError
from opsin.images.decode import decode_image


def test_the_digits_are_written_as_class_folders_pixel_by_pixel(tmp_path):
    data = ImageDataset.from_folder(write_digits(tmp_path / "digits"))
    digits = load_digits()
    assert len(data) == 1797
    assert data.class_names == tuple("0123456789")
    assert list(data.counts.values()) == np.bincount(digits.target).tolist()
    # Ink from 0 to 16 becomes 255 (paper) to 0.
    path = data.root / "0" / "0000.png"
    assert np.abs(decode_image(path)[:, :, 0] - (255 - digits.images[0] * 255 / 16)).max() <= 0.5


def test_a_folder_that_holds_something_is_left_alone(pictures):
    root = pictures({"mine": 1})
    with pytest.raises(UsageError, match="holds something"):
        write_digits(root)
    assert (root / "mine" / "0.png").is_file()
