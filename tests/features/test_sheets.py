"""Contact sheets of what was found: the right pictures in the right places, and nothing of the user's replaced."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from opsin.errors import UsageError
from opsin.features.clusters import list_clusters
from opsin.features.index import FeatureIndex, Match, Origin
from opsin.features.sheets import (
    draw_cluster,
    draw_clusters,
    draw_matches,
    require_file,
    require_room,
    require_room_for_clusters,
    save_cluster_sheets,
)
from opsin.images.preprocess import Preprocess

TILE_WIDTH, TILE_HEIGHT, GAP = 160, 160 + 16, 6
WHITE, GREY = [255, 255, 255], [200, 200, 200]


@pytest.fixture
def paint(tmp_path):
    def paint(name: str, color: tuple[int, int, int]) -> str:
        Image.new("RGB", (20, 10), color).save(tmp_path / name)
        return str(tmp_path / name)

    return paint


@pytest.fixture
def index(paint):
    """Four reds and two blues in two clusters."""
    colors = [(200 + i, 0, 0) for i in range(4)] + [(0, 0, 200 + i) for i in range(2)]
    paths = tuple(paint(f"{i}.png", color) for i, color in enumerate(colors))
    vectors = np.array([[1, 0.1], [1, 0], [1, 0.9], [1, 0.2], [0, 1], [0, 1]], np.float32)
    clusters = np.array([1, 1, 1, 1, 2, 2], np.int32)
    return FeatureIndex(vectors, paths, Origin("n", "0", Preprocess(1, 1), "RUN"), ("red",) * 4 + ("",) * 2, clusters)


def middles(sheet: np.ndarray) -> list[list[list[int]]]:
    """The colour in the middle of each tile, row by row."""
    rows = (sheet.shape[0] - GAP) // (TILE_HEIGHT + GAP)
    columns = (sheet.shape[1] - GAP) // (TILE_WIDTH + GAP)
    tops = [GAP + row * (TILE_HEIGHT + GAP) + 80 for row in range(rows)]
    lefts = [GAP + column * (TILE_WIDTH + GAP) + 80 for column in range(columns)]
    return [[sheet[top, left].tolist() for left in lefts] for top in tops]


def test_each_question_starts_a_row_and_is_followed_by_its_answers(paint):
    red, green, blue = paint("r.png", (250, 0, 0)), paint("g.png", (0, 250, 0)), paint("b.png", (0, 0, 250))
    long = [Match(0, green, 0.9, "")] * 6

    sheet = draw_matches([red, blue], [long, [Match(0, red, 0.5, "x")]])

    r, g, b = [250, 0, 0], [0, 250, 0], [0, 0, 250]
    assert middles(sheet) == [[r, g, g, g, g, g], [g, *[WHITE] * 5], [b, r, *[WHITE] * 4]]


def test_a_white_picture_has_edges_on_the_white_sheet(paint):
    sheet = draw_matches([paint("w.png", (255, 255, 255))], [[]])

    assert sheet[GAP + 80, GAP + 80].tolist() == WHITE
    assert sheet[GAP + 5, GAP + 80].tolist() == [235, 235, 235]
    assert sheet[GAP + 80, 2 * GAP + TILE_WIDTH + 80].tolist() == WHITE


def test_a_picture_that_is_gone_is_grey(paint, tmp_path):
    sheet = draw_matches([paint("r.png", (250, 0, 0))], [[Match(0, str(tmp_path / "gone.png"), 0.5, "")]])

    assert middles(sheet)[0][:2] == [[250, 0, 0], GREY]


def test_a_cluster_is_drawn_from_its_middle_outwards(index):
    cluster = list_clusters(index)[0]

    shown = middles(draw_cluster(index, cluster))

    assert shown == [[[200 + row, 0, 0] for row in cluster.rows.tolist()]]
    assert shown[0][-1] == [202, 0, 0]


def test_a_large_cluster_is_shown_up_to_its_most_unusual_picture(paint):
    path, last = paint("a.png", (250, 0, 0)), paint("z.png", (0, 0, 250))
    vectors = np.array([[1, i / 200] for i in range(100)] + [[-1, 1]], np.float32)
    index = FeatureIndex(
        vectors, (path,) * 100 + (last,), Origin("n", "0", Preprocess(1, 1), "R"), (), np.ones(101, np.int32)
    )

    shown = middles(draw_cluster(index, list_clusters(index)[0]))

    assert (len(shown), len(shown[0])) == (6, 8)
    assert [tile for row in shown for tile in row] == [[250, 0, 0]] * 47 + [[0, 0, 250]]


def test_all_clusters_have_a_row_each(index):
    shown = middles(draw_clusters(index))

    assert [row[0][0] > 0 for row in shown] == [True, False]
    assert shown[1][2:] == [WHITE] * 6


def test_a_folder_has_a_sheet_of_each_cluster_and_a_table(index, tmp_path):
    save_cluster_sheets(index, tmp_path / "sheets")

    assert sorted(p.name for p in (tmp_path / "sheets").iterdir()) == ["cluster-1.png", "cluster-2.png", "clusters.csv"]
    with (tmp_path / "sheets" / "clusters.csv").open(encoding="utf-8") as handle:
        rows = list(csv.DictReader(handle))
    assert {(row["path"], row["label"], row["cluster"]) for row in rows} == {
        (path, label, str(number))
        for path, label, number in zip(index.paths, index.labels, index.clusters.tolist(), strict=True)
    }
    assert [row["cluster"] for row in rows] == ["1"] * 4 + ["2"] * 2
    assert np.array(Image.open(tmp_path / "sheets" / "cluster-2.png"))[6 + 80, 6 + 80, 2] >= 200


def test_older_sheets_make_way_and_none_of_them_stays(index, tmp_path):
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / "cluster-12.png").touch()

    save_cluster_sheets(index, tmp_path / "sheets")

    assert not (tmp_path / "sheets" / "cluster-12.png").exists()


@pytest.mark.parametrize("name", ["thesis.txt", "cluster-1.png.bak", "cluster-x.png"])
def test_a_folder_that_holds_something_else_is_left_alone(index, tmp_path, name):
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets" / name).write_text("years of work")

    with pytest.raises(UsageError, match=f"holds '{name}'"):
        save_cluster_sheets(index, tmp_path / "sheets")
    assert (tmp_path / "sheets" / name).read_text() == "years of work"


def test_a_file_where_the_folder_shall_be_is_left_alone(index, tmp_path):
    (tmp_path / "sheets").write_text("mine")

    with pytest.raises(UsageError, match="is a file"):
        save_cluster_sheets(index, tmp_path / "sheets")


def test_no_picture_is_replaced_by_a_sheet_under_whatever_name(index, tmp_path):
    (tmp_path / "link.png").symlink_to(index.paths[3])

    for path in (index.paths[3], tmp_path / "link.png"):
        with pytest.raises(UsageError, match="is one of the pictures"):
            require_file(path, [str(tmp_path / "gone.png"), *index.paths])
    require_file(tmp_path / "sheet.png", index.paths)


@pytest.mark.parametrize(("name", "words"), [("sheet.gif", r"\.png, \.jpg"), ("folder.png", "is a folder")])
def test_a_sheet_is_a_picture_file(tmp_path, name, words):
    (tmp_path / "folder.png").mkdir()

    with pytest.raises(UsageError, match=words):
        require_file(tmp_path / name, [])


def test_a_sheet_that_is_as_high_as_can_be_fits_into_webp(tmp_path):
    require_room(40, 11)
    require_room_for_clusters(80)
    with pytest.raises(UsageError, match="40 pictures with 12 similar ones each take 120"):
        require_room(40, 12)
    with pytest.raises(UsageError, match="at most 80 clusters on one sheet; received 81"):
        require_room_for_clusters(81)
    height = GAP + 80 * (TILE_HEIGHT + GAP)
    Image.new("RGB", (10, height)).save(tmp_path / "high.webp")
    assert Image.open(tmp_path / "high.webp").size == (10, height)


def test_names_that_are_not_utf_8_come_out_as_they_are(tmp_path):
    path = str(Path("/nowhere") / "no-\udcff.png")
    index = FeatureIndex(
        np.ones((1, 1), np.float32), (path,), Origin("n", "0", Preprocess(1, 1), "R"), (), np.ones(1, np.int32)
    )

    save_cluster_sheets(index, tmp_path / "sheets")

    assert b"no-\xff.png" in (tmp_path / "sheets" / "clusters.csv").read_bytes()
