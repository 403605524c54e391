"""Drop pictures on an exported page in headless Chromium and compare its answers with `opsin predict`'s.

Run by hand: `pip install playwright`, a Chromium on PATH, then
`python tools/try_browser_page.py RUN/exports/browser PICTURES`. Nothing but the page's own folder may be asked for.
"""

import argparse
import base64
import functools
import http.server
import json
import shutil
import statistics
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from opsin.classifier import Classifier
from opsin.errors import PictureError

# As a person does it: a drag from the desktop ends in this event.
DROP = """([name, content]) => {
  const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name));
  document.getElementById("status").textContent = "";
  document.getElementById("drop").dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true }));
}"""
ANSWERED = r"() => /, in \d+ ms\.$|^Expected/.test(document.getElementById('status').textContent)"
CHECKED = "() => document.body.dataset.check || document.querySelector('#status.error')"
ANSWERS = """() => [...document.querySelectorAll("#answers li")].map(
  (row) => [row.querySelector("span").textContent, Number(row.dataset.probability)])"""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and says nothing."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Parse, try, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path, help="what `opsin export --format browser` has written")
    parser.add_argument("pictures", type=Path, help="a folder")
    parser.add_argument("--limit", type=int, help="only so many pictures")
    options = parser.parse_args()
    paths = sorted(path for path in options.pictures.rglob("*") if path.is_file())[: options.limit]
    classifier = Classifier.open(options.export)
    with opened_page(options.export) as page:
        print(f"golden pictures: {page.evaluate('() => document.body.dataset.check')}")
        compare(page, classifier, paths)


@contextmanager
def opened_page(folder: Path) -> Iterator[object]:
    """Serve a folder and open its page, which checks itself first."""
    from playwright.sync_api import sync_playwright

    handler = functools.partial(Quiet, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server, sync_playwright() as playwright:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        own = f"http://127.0.0.1:{server.server_port}/"
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 700, "height": 800})
        page.on("pageerror", lambda error: print(f"the page failed: {error}", file=sys.stderr))
        page.on("request", functools.partial(report_stranger, own))
        page.goto(f"{own}?check")
        page.wait_for_function(CHECKED, timeout=120_000)
        yield page
        browser.close()
        server.shutdown()


def report_stranger(own: str, request: object) -> None:
    """Say it where the page asks for anything that is not its own."""
    if not request.url.startswith((own, "blob:", "data:")):
        print(f"the page asked for {request.url}", file=sys.stderr)


def compare(page: object, classifier: Classifier, paths: list[Path]) -> None:
    """Drop each picture and print how far the page is from Opsin."""
    differences, same, times, unread = [], [], [], 0
    for path, expected in zip(paths, classifier.predict_many(paths), strict=True):
        page.evaluate(DROP, [path.name, base64.b64encode(path.read_bytes()).decode()])
        page.wait_for_function(ANSWERED, timeout=60_000)
        found = dict(page.evaluate(ANSWERS))
        if isinstance(expected, PictureError) or not found:
            unread += 1
            print(f"{path}: Opsin says {expected}; the page says {page.inner_text('#status')}")
            continue
        known = dict(zip(expected.class_names, expected.probabilities, strict=True))
        differences.append(max(abs(known[name] - probability) for name, probability in found.items()))
        same.append(expected.label == next(iter(found)))
        times.append(int(page.inner_text("#status").rpartition(", in ")[2].split()[0]))
    told = {"pictures": len(differences), "unread": unread, "same_class": sum(same)}
    told |= {f"difference_{q}": float(np.quantile(differences, q / 100)) for q in (50, 95, 100)}
    print(json.dumps(told | {"median_ms": statistics.median(times)}, indent=2))


if __name__ == "__main__":
    main()
