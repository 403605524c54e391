"""Frames of videos, which the tests write themselves."""

import numpy as np
import pytest

from opsin.errors import PictureError, UsageError
from opsin.images.video import Pace, is_video, read_camera, read_video

cv2 = pytest.importorskip("cv2")


@pytest.fixture(params=[("MJPG", ".avi"), ("mp4v", ".mp4")])
def clip(request, tmp_path):
    """Forty frames, ten a second: red rises by five, blue is 250 throughout, green is none."""
    code, suffix = request.param
    path = tmp_path / f"clip{suffix}"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*code), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip(f"this OpenCV writes no {code}")
    for number in range(40):
        writer.write(np.full((48, 64, 3), (250, 0, 5 * number), np.uint8))
    writer.release()
    return path


def test_frames_come_in_order_in_rgb_with_their_number_and_time(clip):
    frames = list(read_video(clip))

    assert [frame.number for frame in frames] == list(range(40))
    np.testing.assert_allclose([frame.seconds for frame in frames], np.arange(40) / 10, atol=1e-3)
    assert {frame.image.shape for frame in frames} == {(48, 64, 3)}
    middles = np.array([frame.image[24, 32] for frame in frames], float)
    expected = np.stack([5 * np.arange(40), np.zeros(40), np.full(40, 250)], axis=1)
    assert np.abs(middles - expected).max() <= 8


def test_a_pace_by_frames_and_by_time(clip):
    def numbers(pace):
        return [frame.number for frame in read_video(clip, pace)]

    assert numbers(Pace(every=15)) == [0, 15, 30]
    assert numbers(Pace(fps=2)) == list(range(0, 40, 5))
    assert numbers(Pace(fps=3)) == [0, 4, 7, 10, 14, 17, 20, 24, 27, 30, 34, 37]
    assert numbers(Pace(fps=100)) == list(range(40))
    assert numbers(Pace(every=4, fps=1)) == [0, 12, 20, 32]


def test_a_video_that_was_cut_off_says_so_behind_the_frames_that_it_has(clip):
    content = clip.read_bytes()
    clip.write_bytes(content[: len(content) // 2])
    numbers = []

    with pytest.raises(PictureError, match=r"cut off|no video that can be read") as raised:
        numbers.extend(frame.number for frame in read_video(clip))

    assert raised.value.path == str(clip)
    assert numbers == list(range(len(numbers)))
    if clip.suffix == ".avi":  # The index of an MP4 stands at its end: without it nothing can be read.
        assert "of 40 frames" in raised.value.reason


def test_what_names_other_files_is_no_video(clip, tmp_path):
    for name, content in (
        ("list.mp4", f"ffconcat version 1.0\nfile {clip.name}\n"),
        ("play.mp4", f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:5,\n{clip.name}\n#EXT-X-ENDLIST\n"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(PictureError, match="no video that can be read"):
            next(read_video(tmp_path / name))


def test_a_file_that_is_not_there_or_is_no_video_is_said(tmp_path):
    (tmp_path / "junk.mp4").write_bytes(b"junk")
    (tmp_path / "folder.mp4").mkdir()
    for name, why in (("gone.mp4", "No such file"), ("junk.mp4", "no video"), ("folder.mp4", "Is a directory")):
        with pytest.raises(PictureError, match=why):
            next(read_video(tmp_path / name))


def test_a_camera_that_is_not_there_is_said_at_once():
    with pytest.raises(UsageError, match="Expected a camera at index 63"):
        read_camera(63)


def test_videos_are_known_by_their_names():
    assert [name for name in ("a.MP4", "b.jpg", "c.webm", "mp4", "d.mp4.txt") if is_video(name)] == ["a.MP4", "c.webm"]
