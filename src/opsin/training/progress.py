"""Shows a run's events on the terminal: bars where there is one, plain lines where there is none."""

import sys
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from opsin.evaluation.wording import percent, readable
from opsin.training.where_time_went import SAID


class TerminalProgress:
    """A listener that draws a run's events on stderr.

    Args:
        console: where to draw; None for stderr.
    """

    def __init__(self, console: Console | None = None):
        self.console = console or Console(file=sys.stderr, highlight=False)
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, event: dict[str, Any]) -> None:
        """Draw one event; kinds that are not known here are passed over."""
        draw = getattr(self, f"_on_{event['event']}", None)
        if draw is not None:
            draw(event)

    def print(self, text: str, style: str | None = None) -> None:
        """Print a line above the bars, with nothing in it read as markup."""
        self.console.print(escape(text), style=style, soft_wrap=True)

    def _on_run_started(self, event: dict[str, Any]) -> None:
        parts = ", ".join(f"{count:,} {part}" for part, count in event["pictures"].items())
        self.print(f"{event['data']}: {event['classes']} classes, pictures: {parts}")
        if event["skipped"]:
            self.print(f"Not used: {event['skipped']:,} other files or folders (files.csv names them all), such as")
            for skipped in event["skipped_first"]:
                self.print(f"  {readable(skipped)}")

    def _on_note(self, event: dict[str, Any]) -> None:
        self.print(event["text"], "yellow")

    def _on_stopping(self, event: dict[str, Any]) -> None:
        self._close()
        self.print(event["text"], "yellow")

    def _on_decoding(self, event: dict[str, Any]) -> None:
        self._advance(f"decoding {event['what']}", event["done"], event["total"], "")
        if event["done"] == event["total"]:
            self._close()
            self.print(f"Decoded {event['total']:,} {event['what']}.")

    def _on_features(self, event: dict[str, Any]) -> None:
        self._advance(event["what"], event["done"], event["total"], f"{event['pictures_per_second']:,.0f} pictures/s")
        if event["done"] == event["total"]:
            self._close()
            self.print(
                f"Computed {event['what']}: {event['total']:,} at {event['pictures_per_second']:,.0f} pictures/s."
            )

    def _on_network_built(self, event: dict[str, Any]) -> None:
        height, width, channels = event["input_shape"]
        macs = "" if event["multiply_adds"] is None else f", {event['multiply_adds'] / 1e6:,.1f} M multiply-adds"
        weights = "" if event["weights"] == "none" else f", weights {event['weights']}"
        size = f"{height}×{width}×{channels}, {event['parameters']:,} parameters{macs}"
        precision = event.get("precision", "float32")
        size += "" if precision == "float32" else f", in {precision}"
        self.print(f"Network: {event['name']}{weights}, {size}")
        self.print(f"Augmentation: {event['augmentation']}")

    def _on_epoch_started(self, event: dict[str, Any]) -> None:
        self.steps = event["steps"]
        if event["epoch"] == 1 or self._bars is None:
            self._advance("epochs", event["epoch"] - 1, event["epochs"], "")
        self._advance("steps", 0, event["steps"], "")

    def _on_step(self, event: dict[str, Any]) -> None:
        rate = f"{event['pictures_per_second']:,.0f} pictures/s"
        said = f"{rate}  loss {event['loss']:.3f}  accuracy {percent(event['accuracy'])}"
        self._advance("steps", event["step"], self.steps, said)

    def _on_validating(self, event: dict[str, Any]) -> None:
        self._advance("steps", self.steps, self.steps, "validating")

    def _on_best_kept(self, event: dict[str, Any]) -> None:
        self._close()
        iou = f", val mean IoU {percent(event['val_iou'])}" if "val_iou" in event else ""
        self.print(f"Kept the network of epoch {event['epoch']}: val accuracy {percent(event['val_accuracy'])}{iou}.")

    def _on_profiled(self, event: dict[str, Any]) -> None:
        seconds = event["seconds"]
        beside = seconds.get("augmenting", 0.0)
        whole = sum(seconds.values()) - beside
        self.print("Where the time went:")
        for name, spent in seconds.items():
            share = "" if name == "augmenting" else f"  {percent(spent / whole) if whole else '':>7}"
            self.print(f"  {spent:8.2f} s{share:9}  {SAID[name]}")
        learning = seconds.get("waiting", 0.0) + seconds.get("steps", 0.0)
        if learning:
            self.print(f"  Steps waited for data {percent(seconds['waiting'] / learning)} of their time.")

    def _on_epoch_ended(self, event: dict[str, Any]) -> None:
        self._advance("epochs", event["epoch"], event["epochs"], "")
        width = len(str(event["epochs"]))
        self.print(
            f"epoch {event['epoch']:>{width}}/{event['epochs']}  {event['seconds']:6.1f} s  "
            f"loss {event['loss']:.4f}  accuracy {percent(event['accuracy']):>7}  "
            f"val loss {event['val_loss']:.4f}  val accuracy {percent(event['val_accuracy']):>7}"
            + (f"  val mean IoU {percent(event['val_iou']):>7}" if "val_iou" in event else "")
            + ("  best so far" if event["improved"] else "")
        )

    def _advance(self, name: str, done: int, total: int, said: str) -> None:
        if not self.console.is_terminal:
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[said]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(name, total=total, said=said)
        elif done == 0:
            self._bars.reset(self._tasks[name], total=total)
        self._bars.update(self._tasks[name], completed=done, total=total, said=said)

    def _close(self) -> None:
        if self._bars is not None:
            self._bars.stop()
        self._bars, self._tasks = None, {}
