"""The commands in examples/ run as they stand, on pictures that are drawn."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from opsin.images.drawing import draw_picture, save_image

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "phishing" / "run.sh"


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not installed")
def test_from_screenshots_to_a_service(tmp_path):
    for number in range(48):
        folder = tmp_path / "screens" / ("legitimate", "phishing")[number % 2]
        picture = draw_picture(number, 32, 32) // 2 + np.uint8(100 * (number % 2))
        save_image(picture, folder / f"{number}.png")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    # Commands of this Python first; what is trained from scratch needs no weights.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "PORT": port, "OUT": str(tmp_path / "out")}
    small = ["--arch", "simple_cnn", "--image-size", "24", "--epochs", "4", "--weights", "none"]

    done = subprocess.run(
        ["sh", str(SCRIPT), str(tmp_path / "screens"), *small],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
    )

    assert done.returncode == 0, done.stderr
    whole, _, tensor = done.stdout.partition("A whole picture:")[2].partition("The same in TensorFlow Serving's JSON:")
    (prediction,) = json.loads(whole)["predictions"]
    (probabilities,) = json.loads(tensor)["predictions"]
    assert max(probabilities) == pytest.approx(prediction["probability"], abs=1e-6)
    assert (tmp_path / "out" / "models" / "phishing" / "1" / "saved_model.pb").is_file()
