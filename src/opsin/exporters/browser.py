"""Exports for the browser: a network in ONNX's format, and a static page around it that classifies dropped pictures."""

import html
import json
from pathlib import Path
from string import Template

from opsin.errors import UsageError

PAGE = "index.html"
RUNTIME = "ort"
"""The folder of ONNX Runtime Web's files; the page names it."""

PARTS = (PAGE, "page.css", "page.js", "preprocess.js")
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
PACKAGE = "onnxruntime-web"

NOTES = (
    "Serve the folder as it is, `python -m http.server` say, and open index.html; ?check compares its golden pictures.",
    "Browsers read no TIFF, and decode a large JPEG at its full size, where Opsin may decode it smaller; from the "
    "decoded picture on, each value is the one that Opsin makes with Pillow 13.",
)


def find_runtime(folder: Path | None) -> Path:
    """Return where the files of ONNX Runtime Web are in its npm package.

    Args:
        folder: the unpacked package, or a folder that it was installed in; None: nobody said where.

    Raises:
        UsageError: it is not there, or some of its files are missing.
    """
    advice = f"Get it with: npm pack {PACKAGE} && tar xzf {PACKAGE}-*.tgz, then --ort-web package"
    if folder is None:
        raise UsageError(f"Expected --ort-web DIR, the npm package {PACKAGE}, with a browser export. {advice}")
    places = (folder, folder / PACKAGE, folder / "node_modules" / PACKAGE)
    package = next((place for place in places if _name_of(place) == PACKAGE), None)
    if package is None:
        raise UsageError(f"Expected the npm package {PACKAGE} as --ort-web; {str(folder)!r} is not. {advice}")
    missing = [name for name in RUNTIME_FILES if not (package / "dist" / name).is_file()]
    if missing:
        raise UsageError(
            f"Expected {', '.join(missing)} in {str(package / 'dist')!r}; it is another version of {PACKAGE}, or not "
            f"whole. {advice}"
        )
    return package


def add_page(folder: Path, name: str, package: Path) -> tuple[str, ...]:
    """Put the page and its runtime beside a network.

    Args:
        folder: the export, with its network in ONNX's format.
        name: what the network is called.
        package: what `find_runtime` gave.

    Returns:
        What the export's user should know, a sentence each.
    """
    source = Path(__file__).with_name("browser_page")
    for part in PARTS:
        text = (source / part).read_text(encoding="utf-8")
        text = Template(text).substitute(name=html.escape(name)) if part == PAGE else text
        (folder / part).write_text(text, encoding="utf-8")
    (folder / RUNTIME).mkdir()
    for path in [package / "package.json", *(package / "dist" / file for file in RUNTIME_FILES)]:
        (folder / RUNTIME / path.name).write_bytes(path.read_bytes())
    version = _read_manifest(package).get("version", "of an unknown version")
    return (*NOTES, f"ONNX Runtime Web {version}, MIT, is in {RUNTIME}/.")


def _name_of(package: Path) -> str | None:
    return _read_manifest(package).get("name")


def _read_manifest(package: Path) -> dict:
    try:
        found = json.loads((package / "package.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
