"""The worst mistakes: the picture, what was said, where the network looked, and what it was reminded of."""

from opsin.evaluation.evidence import Explained
from opsin.evaluation.mistakes import Mistake, confident_mistakes
from opsin.evaluation.page.album import Album, heat_colors
from opsin.evaluation.page.markup import part, place, row, short, table
from opsin.evaluation.page.svg import picture
from opsin.evaluation.report import Report
from opsin.evaluation.wording import percent

CARDS = 12
LISTED = 100
"""Mistakes that are listed, with those that have a card."""

NEIGHBOURS = 4

_LEGEND_STEPS = 24


def worst_mistakes(report: Report, album: Album) -> str:
    """Return the cards, and a list of more mistakes; or that there are none."""
    mistakes = confident_mistakes(report, LISTED)
    if not mistakes:
        return "<p>None: every picture was judged rightly.</p>\n"
    explained = report.evidence.explained
    cards = "".join(_card(one, explained.get(one.path), album) for one in mistakes[:CARDS])
    heated = any(one.path in explained and explained[one.path].heat is not None for one in mistakes[:CARDS])
    note = "The wrong answers given with the most confidence. Look at these first: a wrong label looks the same."
    return part(
        "Worst mistakes", _legend() if heated else "", f'<ul class="cards">{cards}</ul>\n', _others(mistakes), note=note
    )


def _card(mistake: Mistake, explained: Explained | None, album: Album) -> str:
    heat = None
    remark = ""
    if explained is not None and explained.heat is not None:
        if explained.peak > 0:
            heat = explained.heat
        else:
            remark = '<p class="remark">No evidence: nothing in the picture speaks for this answer.</p>\n'
    alt = f"{mistake.path}, of class {mistake.truth}, taken for {mistake.said}"
    shown = album.show_large(mistake.path, heat=heat, alt=alt)
    return (
        f'<li class="card">{shown}\n<dl><div><dt>said</dt><dd><b class="wrong">{short(mistake.said)}</b> '
        f"{percent(mistake.probability)}</dd></div><div><dt>is</dt><dd><b>{short(mistake.truth)}</b></dd></div></dl>\n"
        f"{remark}<p>{place(mistake.path)}</p>\n{_neighbours(explained, album)}</li>\n"
    )


def _neighbours(explained: Explained | None, album: Album) -> str:
    if explained is None or not explained.neighbours:
        return ""
    items = "".join(
        f"<li>{album.show(one.path, rank=1, alt=f'{one.path}, of class {one.label}')}"
        f"<p>{short(one.label, 16)} <span class='quiet'>{one.similarity:.2f}</span></p></li>"
        for one in explained.neighbours[:NEIGHBOURS]
    )
    return f'<p class="quiet">Nearest training pictures</p>\n<ul class="gallery small">{items}</ul>\n'


def _legend() -> str:
    width = 180
    step = width / _LEGEND_STEPS
    ramp = "".join(
        f'<rect x="{i * step:.1f}" width="{step + 0.5:.1f}" height="12" fill="rgb({r:.0f} {g:.0f} {b:.0f})"/>'
        for i, (r, g, b) in enumerate(heat_colors(_LEGEND_STEPS))
    )
    drawn = picture(width, 12, "Colours from dark violet over red to pale yellow", ramp, "ramp")
    return (
        '<p class="legend"><label><input type="checkbox" id="heat-shown" checked> heat maps</label> '
        f'<span class="scale">no evidence {drawn} most evidence</span></p>\n'
        '<p class="quiet">A heat map says where in the picture the evidence for the answer that was given lies; its '
        "brightest place is the strongest of this picture, however weak. Beside a nearest training picture stands how "
        "similar the network finds it, 1 at most.</p>\n"
    )


def _others(mistakes: list[Mistake]) -> str:
    if len(mistakes) <= CARDS:
        return ""
    rows = [
        row(place(one.path), short(one.truth), short(one.said), percent(one.probability), words=(0, 1, 2))
        for one in mistakes[CARDS:]
    ]
    head = ("Picture", "True class", "Said", "Probability")
    listed = table("More mistakes, the most confident first", head, rows, words=(0, 1, 2))
    return f"<details><summary>{len(rows):,} more mistakes</summary>{listed}</details>\n"
