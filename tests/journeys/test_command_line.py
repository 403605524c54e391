"""From pictures to predictions through the command line, each step in a process of its own.

But for those that only train what others have trained so: they spare themselves TensorFlow's start.
"""

import csv
import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.cli import main as door

OPSIN = [sys.executable, "-c", "from opsin.cli.main import main; main()"]
HOSTILE = "-rf 'q\"uo,te'\nnew line Ärger 😀"


def opsin(*arguments: object, **more) -> subprocess.CompletedProcess:
    return subprocess.run([*OPSIN, *map(str, arguments)], capture_output=True, text=True, timeout=600, **more)


@pytest.fixture
def call(monkeypatch, capsys):
    """Run a command in this process: its exit code, stdout and stderr."""
    monkeypatch.setattr(door, "_hush_native_libraries", lambda: None)
    monkeypatch.setenv("COLUMNS", "120")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["opsin", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            door.main()
        return int(ended.value.code or 0), *capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Two classes of 20 pictures; class and file names are as unkind as the file system allows."""
    root = tmp_path_factory.mktemp("pictures") / "photos of mine"
    random = np.random.default_rng(0)
    for name, color in ((HOSTILE, (200, 60, 60)), ("blue", (60, 60, 200))):
        (root / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.normal(color, 40, (30, 40, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(root / name / f"-{number} {HOSTILE}.jpg", format="JPEG")
    (root / "blue" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    (root / "blue" / ".DS_Store").write_bytes(b"")
    return root


@pytest.fixture(scope="module")
def run(photos) -> Path:
    out = photos.parent / "run"
    done = opsin("train", photos, "--out", out, "--epochs", 6, "--batch-size", 8, "--image-size", 24, "--json")
    # One picture could not be read, which the exit code says though the run is whole.
    assert done.returncode == 3, done.stderr
    assert "broken.jpg" in done.stderr
    document = json.loads(done.stdout)
    assert document["run"] == str(out)
    assert document["completed"] is True
    assert document["report"]["class_names"] == sorted(["blue", HOSTILE], key=str.casefold)
    return out


def test_evaluating_on_the_training_data_takes_what_was_held_out(photos, run):
    done = opsin("evaluate", run, photos, "--json")

    report = json.loads(done.stdout)
    assert report["split"] == "test"
    assert report["n"] == json.loads((run / "report.json").read_text())["n"]
    assert report["accuracy"] == json.loads((run / "report.json").read_text())["accuracy"]
    assert set(report["accuracy"]) == {"value", "low", "high", "n"}
    assert {"macro", "weighted", "per_class", "confusion_matrix", "log_loss", "balanced_accuracy"} <= set(report)


def test_predicting_a_folder_gives_a_line_for_each_picture_and_an_error_for_the_broken_one(photos, run):
    done = opsin("predict", run, photos, "--format", "jsonl")

    assert done.returncode == 3
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(lines) == 41
    bad = [line for line in lines if "error" in line]
    assert [Path(line["path"]).name for line in bad] == ["broken.jpg"]
    good = next(line for line in lines if "error" not in line)
    assert set(good) == {"path", "label", "probability", "top"}
    assert good["top"][0] == {"label": good["label"], "probability": good["probability"]}
    right = [Path(line["path"]).parent.name == line["label"] for line in lines if "error" not in line]
    assert np.mean(right) > 0.9


def test_every_format_says_the_same(photos, run):
    picture = next((photos / "blue").glob("-*"))

    as_jsonl = json.loads(opsin("predict", run, picture, "--format", "jsonl").stdout)
    (as_json,) = json.loads(opsin("predict", run, picture, "--json").stdout)
    (as_csv,) = csv.DictReader(io.StringIO(opsin("predict", run, picture, "--format", "csv").stdout))
    as_table = opsin("predict", run, picture).stdout

    assert as_json == as_jsonl
    assert (as_csv["path"], as_csv["label"]) == (as_jsonl["path"], as_jsonl["label"])
    assert float(as_csv["probability"]) == as_jsonl["probability"]
    assert len(as_table.splitlines()) == 1


def test_paths_come_through_a_pipe_and_patterns_are_expanded(photos, run, tmp_path):
    for number in range(3):
        Image.new("RGB", (9, 9), (0, 0, 250)).save(tmp_path / f"{number}.png")
    paths = [str(tmp_path / f"{number}.png") for number in range(3)]

    piped = opsin("predict", run, "-", "--format", "jsonl", input="\n".join(paths))
    matched = opsin("predict", run, tmp_path / "*.png", "--format", "jsonl")

    assert piped.returncode == matched.returncode == 0
    assert piped.stdout == matched.stdout
    assert [json.loads(line)["path"] for line in piped.stdout.splitlines()] == paths


def test_the_summary_of_a_run_and_predictions_load_nothing_large(run, photos):
    picture = next((photos / "blue").glob("-*"))
    check = (
        "import sys; from opsin.cli.main import app\n"
        "for arguments in (['summary', sys.argv[1]], ['predict', sys.argv[1], sys.argv[2]], ['archs']):\n"
        "    app(arguments, standalone_mode=False)\n"
        "heavy = {'tensorflow', 'keras', 'sklearn', 'matplotlib', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )

    done = subprocess.run([sys.executable, "-c", check, str(run), str(picture)], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr


def test_the_same_data_with_its_settings_file_gives_the_same_network(photos, run, call, tmp_path):
    _, out, _ = call("train", photos, "--out", tmp_path / "again", "--config", run / "config.toml", "--json")

    losses = [row["loss"] for row in json.loads(out)["history"]]
    with (run / "history.csv").open(newline="") as file:
        assert losses == [float(row["loss"]) for row in csv.DictReader(file)]


def test_augmentation_can_be_looked_at_before_training(photos, tmp_path):
    done = opsin("train", photos, "--augment", "strong", "--preview-augment", tmp_path / "sheet.png", cwd=tmp_path)

    assert done.returncode == 0, done.stderr
    assert Image.open(tmp_path / "sheet.png").width > 8 * 64
    assert [path.name for path in tmp_path.iterdir()] == ["sheet.png"]


def test_ctrl_c_keeps_the_best_model_and_resume_wants_the_settings_of_before(photos, tmp_path):
    arguments = ["train", photos, "--out", tmp_path / "run", "--epochs", 200, "--batch-size", 8, "--image-size", 24]
    process = subprocess.Popen([*OPSIN, *map(str, arguments)], stderr=subprocess.PIPE, text=True)
    wait_for(tmp_path / "run" / "history.csv", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)

    assert process.returncode == 130, errors
    assert "Ctrl-C again" in errors
    assert opsin("predict", tmp_path / "run", photos / "blue").returncode == 3

    conflicting = opsin(*arguments, "--resume", "--seed", 5)
    assert conflicting.returncode == 2
    assert "seed" in conflicting.stderr


def wait_for(path: Path, process: subprocess.Popen) -> None:
    for _ in range(1200):
        if path.exists() or process.poll() is not None:
            return
        time.sleep(0.1)


@pytest.mark.slow
def test_the_demo_runs_and_recognises_digits(call, tmp_path):
    code, out, err = call("demo", "--out", tmp_path / "demo")

    assert code == 0, err
    assert "What to try next" in out
    assert json.loads((tmp_path / "demo" / "run" / "report.json").read_text())["accuracy"]["value"] > 0.95
    code, _, err = call("demo", "--out", tmp_path / "demo")
    assert code == 2
    assert "holds something" in err
