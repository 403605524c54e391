import numpy as np
import pytest

from opsin.errors import UsageError
from opsin.evaluation.charts import rate_chart, save_figure


def test_the_trial_of_a_learning_rate_shows_every_loss_and_the_rate_that_was_chosen():
    rates, losses = [1e-4, 1e-3, 1e-2], [2.0, 1.0, 3.0]
    axes = rate_chart(rates, losses, 1e-3).axes[0]
    trial, chosen = (line.get_xydata().tolist() for line in axes.get_lines())
    assert trial == [list(point) for point in zip(rates, losses, strict=True)]
    assert [x for x, _ in chosen] == [1e-3, 1e-3]
    assert [text.get_text() for text in axes.texts] == [" 0.001"]
    assert axes.get_xscale() == "log"


def test_a_chart_is_written_as_its_files_suffix_says(tmp_path):
    figure = rate_chart([1e-4, 1e-3], [2.0, 1.0], 1e-3)
    save_figure(figure, tmp_path / "chart.png")
    save_figure(figure, tmp_path / "chart.SVG")
    assert (tmp_path / "chart.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (tmp_path / "chart.SVG").read_text("utf-8")
    with pytest.raises(UsageError, match=r"\.png"):
        save_figure(figure, tmp_path / "chart.tar")
    assert np.sort([path.name for path in tmp_path.iterdir()]).tolist() == ["chart.SVG", "chart.png"]
