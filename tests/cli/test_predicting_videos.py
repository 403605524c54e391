"""Videos and cameras on the command line of `opsin predict`."""

import csv
import json

import numpy as np
import pytest

from opsin.classifier import Classifier
from opsin.cli.frames import predict_camera
from opsin.errors import ExitCode, PictureError
from opsin.images import video
from opsin.images.video import Pace, read_video

cv2 = pytest.importorskip("cv2")


@pytest.fixture
def clip(tmp_path):
    """Thirty frames, ten a second, each of its own colour."""
    path = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 10, (24, 24))
    for number in range(30):
        writer.write(np.full((24, 24, 3), (8 * number, 255 - 8 * number, 100), np.uint8))
    writer.release()
    return path


class FakeOpenCV:
    """A camera of some frames, which notes when each is asked for."""

    COLOR_BGR2RGB = None

    def __init__(self, frames):
        self.frames, self.asked = frames, 0

    def VideoCapture(self, index):  # noqa: N802 - OpenCV's name
        assert index == 7
        return self

    def isOpened(self):  # noqa: N802 - OpenCV's name
        return True

    def grab(self):
        self.asked += 1
        return self.asked <= self.frames

    def retrieve(self):
        return True, np.full((24, 24, 3), self.asked, np.uint8)

    def cvtColor(self, image, code):  # noqa: N802 - OpenCV's name
        return image

    def release(self):
        self.asked = None


def rows(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        with path.open(newline="") as stream:
            return list(csv.DictReader(stream))
    return pytest.importorskip("pyarrow.parquet").read_table(path).to_pylist()


def test_rows_have_frame_and_time_and_say_what_the_classifier_says_of_the_frame(opsin, tiny_run, clip):
    answer = opsin("predict", tiny_run, clip, "--every", 10, "--format", "jsonl")

    found = [json.loads(line) for line in answer.out.splitlines()]
    assert answer.code == 0
    assert [(row["path"], row["frame"], row["time"]) for row in found] == [
        (str(clip), 0, 0.0),
        (str(clip), 10, 1.0),
        (str(clip), 20, 2.0),
    ]
    classifier = Classifier.open(tiny_run)
    expected = [classifier.predict(frame.image) for frame in read_video(clip, Pace(every=10))]
    assert [row["label"] for row in found] == [prediction.label for prediction in expected]
    np.testing.assert_allclose([row["probability"] for row in found], [p.probability for p in expected], atol=1e-5)


def test_pictures_and_videos_keep_the_order_of_the_command_line(opsin, tiny_run, tiny_data, clip, tmp_path):
    picture = tiny_data / "discs" / "0.png"
    (tmp_path / "junk.mp4").write_bytes(b"junk")

    answer = opsin("predict", tiny_run, picture, clip, tmp_path / "junk.mp4", picture, "--fps", 1, "--format", "csv")

    found = list(csv.DictReader(answer.out.splitlines()))
    names = ["0.png", "clip.avi", "clip.avi", "clip.avi", "junk.mp4", "0.png"]
    assert [row["path"].rpartition("/")[2] for row in found] == names
    assert [row["frame"] for row in found] == ["", "0", "10", "20", "", ""]
    assert "no video that can be read" in found[4]["error"]
    assert answer.code == ExitCode.UNUSABLE


def test_pictures_alone_have_no_columns_of_frames(opsin, tiny_run, tiny_data):
    answer = opsin("predict", tiny_run, tiny_data / "discs" / "0.png", "--format", "csv", "--top", 1)

    assert answer.out.splitlines()[0] == '"path","label","probability","error"'


def test_people_read_the_time_of_a_frame(opsin, tiny_run, clip):
    answer = opsin("predict", tiny_run, clip, "--fps", 1)

    assert [line.split("  ")[1] for line in answer.out.splitlines()] == ["0.00 s", "1.00 s", "2.00 s"]


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_run_that_was_ended_in_the_middle_of_a_video_goes_on(opsin, tiny_run, clip, tmp_path, monkeypatch, suffix):
    whole, out = tmp_path / f"whole{suffix}", tmp_path / f"out{suffix}"
    assert opsin("predict", tiny_run, clip, "--every", 2, "--out", whole).code == 0
    predict_many = Classifier.predict_many

    def some(self, sources, **options):
        for number, answer in enumerate(predict_many(self, sources, **options)):
            if number == 6:
                raise KeyboardInterrupt
            yield answer

    with monkeypatch.context() as patch:
        patch.setattr(Classifier, "predict_many", some)
        assert opsin("predict", tiny_run, clip, "--every", 2, "--out", out).code == ExitCode.INTERRUPTED
    assert len(rows(out)) == 6

    assert opsin("predict", tiny_run, clip, "--every", 2, "--out", out, "--resume").code == 0
    assert [(row["frame"], row["label"]) for row in rows(out)] == [(row["frame"], row["label"]) for row in rows(whole)]
    assert len(rows(out)) == 15


def test_answers_of_pictures_are_not_gone_on_with_by_those_of_frames(opsin, tiny_run, tiny_data, clip, tmp_path):
    out = tmp_path / "out.jsonl"
    opsin("predict", tiny_run, tiny_data / "discs" / "0.png", "--out", out)

    answer = opsin("predict", tiny_run, clip, "--out", out, "--resume")

    assert answer.code == ExitCode.UNUSABLE
    assert "it does not say which frame" in answer.err


def test_each_frame_of_a_camera_is_answered_before_the_next_is_taken(tiny_run, monkeypatch):
    camera = FakeOpenCV(frames=3)
    monkeypatch.setattr(video, "require", lambda package, purpose: camera)
    answers = predict_camera(Classifier.open(tiny_run), 7, Pace())

    assert [(next(answers).frame, camera.asked) for _ in range(3)] == [(0, 1), (1, 2), (2, 3)]
    ended = next(answers)
    assert isinstance(ended, PictureError)
    assert (ended.path, ended.reason) == ("webcam:7", "the camera gives no more frames")
    assert camera.asked is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--webcam", "63"], "Expected a camera at index 63"),
        (["--webcam", "0", "--json"], "--webcam, which never ends"),
        (["--webcam", "0", "--watch", "."], "--webcam without --watch"),
        (["--webcam", "0", "--engine", "ray"], "received --webcam"),
        (["--webcam", "0", "--out", "new.csv", "--resume"], "--webcam without --resume"),
        (["--webcam", "0", "clip.avi"], "--webcam without a source"),
        (["clip.avi", "--copy-to", "sorted"], "a video without --copy-to"),
        (["clip.avi", "--engine", "ray"], "a video without --engine ray"),
        (["clip.avi", "--fps", "0"], "--fps above 0"),
        (["0.png", "--every", "2"], "a video or --webcam with --every"),
    ],
)
def test_what_makes_no_sense_with_frames_is_refused(
    opsin, tiny_run, tiny_data, clip, tmp_path, monkeypatch, options, words
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0.png").write_bytes((tiny_data / "discs" / "0.png").read_bytes())

    answer = opsin("predict", tiny_run, *options)

    assert answer.code == ExitCode.USAGE
    assert words in answer.err
    assert not (tmp_path / "new.csv").exists()


def test_without_opencv_the_install_line_is_said_and_no_file_is_made(opsin, tiny_run, clip, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)

    answer = opsin("predict", tiny_run, clip, "--out", tmp_path / "out.csv")

    assert answer.code == ExitCode.MISSING_PACKAGE
    assert "pip install 'opsin[video]'" in answer.err
    assert not (tmp_path / "out.csv").exists()
