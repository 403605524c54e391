"""What to do next: a few sentences, the numbers behind them, and the pictures that they are about."""

from opsin.counting import count
from opsin.evaluation.evidence import Advice
from opsin.evaluation.page.album import Album, gallery
from opsin.evaluation.page.markup import escaped, place, section
from opsin.evaluation.wording import percent

MOST = 5
PICTURES = 8
NAMED = 200
"""Pictures of a piece of advice that are named at least."""


def what_to_do(advice: tuple[Advice, ...], album: Album) -> str:
    """Return the section."""
    items = "".join(_item(one, album) for one in advice[:MOST])
    note = "The most promising first. The gain is what it could bring at most, not what it will."
    return section("advice", "What to do next", f'<ol class="advice">{items}</ol>\n' if items else "", note=note)


def _item(advice: Advice, album: Album) -> str:
    points = percent(advice.gain).removesuffix(" %")
    badge = f'<span class="badge">up to +{points} points of accuracy</span>' if advice.gain > 0 else ""
    shown = gallery(album.show(path, rank=0) for path in advice.paths[:PICTURES])
    return (
        f'<li><p class="sentence">{escaped(advice.sentence)} {badge}</p>\n'
        f'<p class="quiet">{escaped(advice.reason)}</p>\n{shown}{_names(advice.paths)}</li>\n'
    )


def _names(paths: tuple[str, ...]) -> str:
    if not paths:
        return ""
    items = "".join(f"<li>{place(path)}</li>" for path in paths[:NAMED])
    more = f"<li>and {len(paths) - NAMED:,} more</li>" if len(paths) > NAMED else ""
    return f'<details><summary>{count(len(paths), "file")}</summary><ul class="files">{items}{more}</ul></details>\n'
