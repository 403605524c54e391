"""The page around its sections: head, table of contents, style, and a rule that nothing is loaded or run."""

import base64
import hashlib
import re
from collections.abc import Sequence
from importlib.resources import files

from opsin.evaluation.page.markup import escaped

LIMIT = 4_900_000
"""Bytes of a page; what its words leave is for pictures."""

_THEMES = (("auto", "as the system", " checked"), ("light", "light", ""), ("dark", "dark", ""))


def document(title: str, subtitle: str, sections: Sequence[str], symbols: str, *, more_style: str = "") -> str:
    """Return the page.

    Args:
        title: plain text.
        subtitle: plain text below it.
        sections: HTML; each that has a heading is in the table of contents.
        symbols: the SVG that holds the pictures.
        more_style: rules that come after the page's own.
    """
    style = files("opsin.evaluation").joinpath("report.css").read_text("utf-8") + more_style
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(style)}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        f"<title>{escaped(title)}: {escaped(subtitle)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">Skip to the numbers</a>\n{symbols}'
        f'<div class="layout">\n<header>\n<h1>{escaped(title)}</h1>\n<p class="quiet">{escaped(subtitle)}</p>\n'
        f"{_contents(sections)}{_theme()}</header>\n"
        f'<main id="main" tabindex="-1">\n{"".join(sections)}</main>\n</div>\n</body>\n</html>\n'
    )


def _policy(style: str) -> str:
    # Only this style sheet, by its hash, and pictures that are in the page: whatever slipped in could not run.
    digest = base64.b64encode(hashlib.sha256(style.encode("utf-8")).digest()).decode("ascii")
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; script-src 'none'; "
        "base-uri 'none'; form-action 'none'"
    )


def _contents(sections: Sequence[str]) -> str:
    found = [re.search(r'<section id="(\w+)".*?<h2 [^>]*>(.*?)</h2>', one, re.DOTALL) for one in sections]
    links = "".join(f'<li><a href="#{one[1]}">{one[2]}</a></li>' for one in found if one)
    return f'<nav aria-label="Contents"><ol>{links}</ol></nav>\n'


def _theme() -> str:
    choices = "".join(
        f'<label><input type="radio" name="theme" id="theme-{name}"{checked}> {said}</label>'
        for name, said, checked in _THEMES
    )
    return f'<fieldset class="theme"><legend>Colours</legend>{choices}</fieldset>\n'
