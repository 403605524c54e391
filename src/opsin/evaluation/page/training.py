"""How it came to be: the curves of training, the pictures left out, the settings."""

from collections.abc import Mapping, Sequence
from typing import Any

from opsin.counting import count
from opsin.evaluation.page.markup import escaped, place, row, section, table
from opsin.evaluation.page.svg import Chart, axis_for
from opsin.evaluation.wording import percent, score

SKIPPED = 500
VALUE_LENGTH = 400

_CURVES = (("training", "", "a", 0), ("validation", "val_", "b", 1))


def training_curves(history: Sequence[Mapping[str, Any]], keys: Sequence[str] = ("loss", "accuracy")) -> str:
    """Return the section of the training's curves.

    Args:
        history: one mapping an epoch with `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`; what is missing or
            None is left out of its curve.
        keys: what there are curves of; all but `loss` are fractions.
    """
    charts = "".join(str(chart) for key in keys if (chart := _chart(history, key)))
    if not charts:
        return ""
    caption = (
        "Blue dots: pictures that it learns from; orange squares: pictures that it does not. Where the second "
        "turns away "
        "from the first, the network learns by heart."
    )
    drawn = f'<figure class="chart beside">{charts}<figcaption>{caption}</figcaption></figure>\n'
    return section("training", "Training", drawn)


def _chart(history: Sequence[Mapping[str, Any]], key: str) -> Chart | None:
    curves = [
        (
            name,
            [(one["epoch"], one[prefix + key]) for one in history if one.get(prefix + key) is not None],
            style,
            shape,
        )
        for name, prefix, style, shape in _CURVES
    ]
    points = [point for _, curve, _, _ in curves for point in curve]
    if not points:
        return None
    epochs, values = zip(*points, strict=True)
    worded = score if key == "loss" else percent
    described = f"{key} over the epochs. " + "; ".join(
        f"{name}: from {worded(curve[0][1])} to {worded(curve[-1][1])}" for name, curve, _, _ in curves if curve
    )
    chart = Chart(
        axis_for(epochs, "epoch", whole=True),
        axis_for(values, key, percents=key != "loss"),
        described,
        width=420,
        height=260,
    )
    for _, curve, style, shape in curves:
        if curve:
            chart.line(*zip(*curve, strict=True), style)
        # Of very many epochs the marks would hide the line.
        for epoch, value in curve if len(curve) <= 40 else ():
            chart.mark(epoch, value, style, shape)
    return chart


def left_out(skipped: Sequence[tuple[str, str]]) -> str:
    """Return the section of pictures that could not be read."""
    if not skipped:
        return ""
    note = f"{count(len(skipped), 'picture')} could not be read and took no part in any number above."
    rows = [row(place(path), escaped(reason[:VALUE_LENGTH]), words=(0, 1)) for path, reason in skipped]
    listed = table("Pictures left out", ("Picture", "Reason"), rows, words=(0, 1), most=SKIPPED)
    return section("skipped", "Left out", listed, note=note)


def chosen(settings: Mapping[str, Any]) -> str:
    """Return the section of settings."""
    rows = [row(escaped(name), escaped(str(value)[:VALUE_LENGTH]), words=(0, 1)) for name, value in settings.items()]
    return section(
        "settings", "Settings", table("What was asked for", ("Setting", "Value"), rows, words=(0, 1)) if rows else ""
    )
