"""The page around a network, and its road from picture to tensor, which is written in JavaScript."""

import base64
import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import PIL
import pytest

import opsin
from opsin.errors import UsageError
from opsin.exporters import browser
from opsin.exporters.export import export
from opsin.images.drawing import draw_picture
from opsin.images.preprocess import RESAMPLES, Preprocess
from opsin.model_folder import Artefact

RUN_PREPROCESS = """
import { readFileSync } from "node:fs";
const { preprocess } = await import(process.argv[1]);
for (const { recipe, width, height, data } of JSON.parse(readFileSync(0))) {
  const found = preprocess({ width, height, channels: 3, data: Uint8Array.from(Buffer.from(data, "base64")) }, recipe);
  console.log(Buffer.from(found.data).toString("base64"));
}
"""

RECIPES = [
    *(Preprocess(24, 17, fit="stretch", resample=resample) for resample in RESAMPLES),
    *(Preprocess(17, 24, fit="crop", resample=resample) for resample in RESAMPLES),
    *(Preprocess(20, 33, fit="pad", resample=resample, background=(9, 200, 77)) for resample in RESAMPLES),
    Preprocess(31, 40, color="gray"),
    Preprocess(31, 40, color="hsv"),
    Preprocess(40, 31, color="lab"),
]
SIZES = [(31, 40), (90, 64), (7, 5), (1, 50), (133, 201)]


@pytest.fixture(scope="session")
def ort_web(tmp_path_factory) -> Path:
    """A folder that looks like the npm package; nothing in it runs."""
    package = tmp_path_factory.mktemp("npm") / "package"
    (package / "dist").mkdir(parents=True)
    (package / "package.json").write_text(json.dumps({"name": "onnxruntime-web", "version": "9.8.7"}))
    for name in browser.RUNTIME_FILES:
        (package / "dist" / name).write_text(f"// {name}")
    return package


@pytest.fixture
def run(tiny_run, tmp_path):
    shutil.copytree(tiny_run, tmp_path / "cats & <dogs>")
    return tmp_path / "cats & <dogs>"


def entries(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_javascript_makes_of_a_picture_what_opsin_makes_of_it():
    node = shutil.which("node") or pytest.skip("node is not installed")
    if int(PIL.__version__.partition(".")[0]) < 13:
        pytest.skip("before version 13 Pillow made tall pictures less wide first, and rounded in between")
    pictures = [draw_picture(number, *size) for number, size in enumerate(SIZES)]
    pictures.append(np.random.default_rng(0).integers(0, 256, (64, 48, 3), dtype=np.uint8))
    cases = [(recipe, picture) for recipe in RECIPES for picture in pictures]
    given = [
        {
            "recipe": recipe.to_dict(),
            "width": picture.shape[1],
            "height": picture.shape[0],
            "data": base64.b64encode(picture.tobytes()).decode(),
        }
        for recipe, picture in cases
    ]

    script = Path(browser.__file__).with_name("browser_page") / "preprocess.js"
    told = subprocess.run(
        [node, "--input-type=module", "-e", RUN_PREPROCESS, script.as_uri()],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()

    for (recipe, picture), line in zip(cases, told, strict=True):
        expected = recipe(picture)
        found = np.frombuffer(base64.b64decode(line), np.uint8).reshape(expected.shape)
        difference = np.abs(found.astype(int) - expected).max()
        # Cube roots in 64 bits here, in 32 there.
        assert difference <= (1 if recipe.color == "lab" else 0), (recipe, picture.shape)


def test_the_page_stands_beside_a_network_that_was_proved_equal(run, ort_web):
    delivered = export(opsin.Classifier.open(run), format="browser", ort_web=ort_web)

    assert delivered.folder == run / "exports" / "browser"
    assert {"index.html", "page.js", "page.css", "preprocess.js", "model.onnx"} <= set(entries(delivered.folder))
    assert {f"ort/{name}" for name in (*browser.RUNTIME_FILES, "package.json")} <= set(entries(delivered.folder))
    artefact = delivered.card.artefact
    assert (artefact.format, artefact.page, artefact.parity["agreement"]) == ("onnx", "browser", 1.0)
    assert "ONNX Runtime Web 9.8.7, MIT, is in ort/." in artefact.notes
    assert "<h1>cats &amp; &lt;dogs&gt;</h1>" in (delivered.folder / "index.html").read_text()
    assert opsin.verify(delivered.folder).passed


def test_it_answers_as_the_model_does_and_a_changed_page_is_found(run, ort_web, tiny_data):
    picture = tiny_data / "discs" / "3.png"
    classifier = opsin.Classifier.open(run)
    folder = export(classifier, format="browser", ort_web=ort_web).folder

    found = opsin.Classifier.open(folder).predict(picture).probabilities
    np.testing.assert_allclose(found, classifier.predict(picture).probabilities, atol=1e-5)

    (folder / "page.js").write_text("stranger()")
    assert [check.what for check in opsin.verify(folder).checks if not check.passed] == ["page.js"]


def test_the_network_of_a_page_can_compute_in_8_bit_integers(run, ort_web, tiny_data):
    data = opsin.ImageDataset.from_folder(tiny_data)

    delivered = export(opsin.Classifier.open(run), format="browser", int8=True, data=data, ort_web=ort_web)

    assert delivered.folder == run / "exports" / "browser-int8"
    assert delivered.card.artefact.int8


def test_a_page_is_replaced_by_a_page_and_by_nothing_else(run, ort_web):
    classifier = opsin.Classifier.open(run)
    place = export(classifier, format="browser", ort_web=ort_web).folder
    export(classifier, format="browser", ort_web=ort_web)
    before = entries(place)

    with pytest.raises(UsageError, match="is something else"):
        export(classifier, place, format="onnx")

    assert entries(place) == before


def test_the_package_is_found_where_npm_puts_it(ort_web, tmp_path):
    shutil.copytree(ort_web, tmp_path / "node_modules" / "onnxruntime-web")

    assert browser.find_runtime(ort_web) == ort_web
    assert browser.find_runtime(tmp_path) == tmp_path / "node_modules" / "onnxruntime-web"


@pytest.mark.parametrize("given", ["nothing", "another folder", "a package that is not whole", "a broken package.json"])
def test_without_the_package_the_line_that_gets_it_is_said_and_nothing_is_written(run, ort_web, tmp_path, given):
    package = tmp_path / "package"
    if given != "nothing":
        shutil.copytree(ort_web, package)
    if given == "another folder":
        (package / "package.json").write_text('{"name": "left-pad"}')
    if given == "a package that is not whole":
        (package / "dist" / browser.RUNTIME_FILES[2]).unlink()
    if given == "a broken package.json":
        (package / "package.json").write_text("[")

    with pytest.raises(UsageError, match=r"npm pack onnxruntime-web && tar"):
        export(opsin.Classifier.open(run), format="browser", ort_web=None if given == "nothing" else package)

    assert not (run / "exports").exists()


def test_a_runtime_for_browsers_is_refused_where_no_page_is_made(run, ort_web):
    with pytest.raises(UsageError, match="Expected --format browser with --ort-web; received onnx"):
        export(opsin.Classifier.open(run), format="onnx", ort_web=ort_web)


def test_a_card_that_was_written_before_there_were_pages_still_opens(run):
    folder = export(opsin.Classifier.open(run), format="onnx").folder
    values = json.loads((folder / "opsin.json").read_text())["artefact"]

    del values["page"]

    assert Artefact.from_dict(values).page is None


@pytest.mark.exhaustive
def test_chromium_gives_the_golden_pictures_the_probabilities_that_were_written(run):
    """Run by hand: `OPSIN_ORT_WEB=package pytest -m exhaustive tests/exporters/test_browser.py`."""
    chromium = shutil.which("chromium") or pytest.skip("chromium is not installed")
    package = os.environ.get("OPSIN_ORT_WEB") or pytest.skip("OPSIN_ORT_WEB names no unpacked onnxruntime-web")
    folder = export(opsin.Classifier.open(run), format="browser", ort_web=package).folder
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/?check"
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000000", "--dump-dom"]
        page = subprocess.run([chromium, *options, address], capture_output=True, text=True, check=True).stdout
        server.shutdown()

    found = json.loads(html.unescape(re.search(r'data-check="([^"]*)"', page)[1]))
    assert found["pictures"] == 8
    assert found["holds"]
    assert found["largest"] < 1e-4
