"""`--budget`: a classifier within seconds, and a better one for as long as there is time, each step judged and said."""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from opsin.architectures import ARCHITECTURES
from opsin.architectures.cuts import Block
from opsin.architectures.figures import PARAMETERS_AND_MULTIPLY_ADDS
from opsin.atomic import write_text
from opsin.counting import count
from opsin.data.splits import TRAIN, VAL
from opsin.data.store import StoredImages
from opsin.errors import OpsinError
from opsin.evaluation.intervals import estimate
from opsin.evaluation.novelty import MOST_REFERENCES
from opsin.evaluation.wording import interval, percent
from opsin.features.speeds import recall_speed
from opsin.names import CHECKPOINT
from opsin.pipeline import TrainingBatches
from opsin.training.config import AUTO, TrainConfig, seconds_of
from opsin.training.fine_tuning import blocks_to_train, fine_tune
from opsin.training.frozen import FrozenOutputs
from opsin.training.learned import Learned
from opsin.training.plan import architectures_at_hand, gpu_count, make_plan
from opsin.training.preparing import Begun, prepare
from opsin.training.quick_layers import quick_layers
from opsin.training.rate_finder import unchanged
from opsin.training.stopping import Deadline, StoppedByUser, StopRequest
from opsin.training.transfer import Headed, fit_head, keep_head

SLOWEST_GUESS = 20.0
"""Pictures a second, where nothing was ever measured."""

REPORT_SECONDS = 3.0
LEAST_EPOCHS = 3
TIMED_STEPS = 4
EPOCHS = "epochs.json"
MOST_VIEWS = 4
PATIENCE = 5

FAILURES = 2
"""So many larger backbones, or further blocks, in a row that were not better end their turn."""


def deadline_of(begun: Begun, stop: StopRequest, started: float) -> "StopRequest | Deadline":
    """Return when to stop learning, so that what is left of the budget suffices for saving and drawing the report."""
    budget = begun.plan.config.budget
    if budget is None:
        return stop
    return Deadline(stop, started + seconds_of(budget) - 2 * REPORT_SECONDS, after_first_epoch=True)


def epochs_that_fit(begun: Begun, batches: TrainingBatches, deadline: Deadline) -> TrainConfig:
    """Return the settings with as many epochs as there is time for, so that the schedule comes to its end.

    A few steps are timed; they change nothing. By what they take, the deadline is brought forward so far that there is
    time to judge the network. A run that is resumed keeps to the number it was begun with.
    """
    config = begun.plan.config
    # Where pictures grow, those of the last epoch take longest.
    batches.start_epoch(config.epochs - 1)
    # One batch again and again: for one of another size, Keras would trace the step anew.
    batch = batches[0]
    with unchanged(begun.network), quick_layers(begun.network, config.precision):
        begun.network.train_on_batch(*batch)
        began = time.monotonic()
        for _ in range(TIMED_STEPS):
            begun.network.train_on_batch(*batch)
        taken = (time.monotonic() - began) / TIMED_STEPS
    # Without the way back, a picture takes about a third.
    judging = taken / 3 / len(batch[0])
    deadline.at -= judging * _judged_pictures(begun.stored)
    epoch = taken * len(batches) + judging * len(begun.stored[VAL])
    kept = begun.run / CHECKPOINT / EPOCHS
    if kept.is_file():
        return config.replace(epochs=json.loads(kept.read_text())["epochs"])
    fitting = max(1, min(config.epochs, int((deadline.at - time.monotonic()) / epoch)))
    write_text(kept, json.dumps({"epochs": fitting}))
    short = (
        "" if epoch < deadline.at - time.monotonic() else " The budget is too short: one epoch is trained all the same."
    )
    begun.run.say(f"An epoch takes about {epoch:.1f} s; {fitting} of at most {config.epochs} are trained.{short}")
    return config.replace(epochs=fitting)


def search(begun: Begun, stop: StopRequest, started: float) -> Learned:
    """Try what the budget allows, from the cheapest on; keep the best on validation, which is on the disk at all times.

    First a linear head on the features of the smallest backbone that is at hand. Then larger backbones; then the top
    blocks of the best one, one after the other. Each step is begun only if it is expected to fit.

    Args:
        begun: what stands, with the smallest backbone.
        stop: is looked at after each step.
        started: when the budget began, as `time.monotonic()` has it.
    """
    running = _Search(begun, stop, started + seconds_of(begun.plan.config.budget))
    try:
        running.begin()
    except StoppedByUser:
        return Learned(None, [], begun.stored, completed=False)
    running.try_larger_backbones()
    running.try_fine_tuning()
    return running.finish()


@dataclass
class _Standing:
    """A network and how good it is on validation."""

    begun: Begun
    frozen: FrozenOutputs
    headed: Headed
    learned: Learned
    val_loss: float
    val_accuracy: float


@dataclass
class _Search:
    first: Begun
    stop: StopRequest
    end: float
    rows: list[dict[str, Any]] = field(default_factory=list)
    best: _Standing | None = None
    overhead: float = 0.0
    """Seconds that a backbone takes beside its features: building, converting, the head, saving."""
    saving: float = 0.0
    """Seconds that saving takes."""
    _last_was_better: bool = False

    def begin(self) -> None:
        """A classifier as soon as can be, whatever the budget."""
        began = time.monotonic()
        left = self.end - began
        self._try_head(self.first)
        took = time.monotonic() - began
        if took > left:
            self._say(
                f"The budget was too short: a first classifier takes about {took:.0f} s here, and {max(left, 0):.0f} s "
                "were left when everything was loaded."
            )
        self.overhead = max(1.0, took - self.best.frozen.seconds)

    def try_larger_backbones(self) -> None:
        """Backbones that cost more and are known to be better, from the cheapest on."""
        config = self.first.plan.config
        wanted = self.first.settings
        if wanted.architecture != AUTO:
            return
        failures, names = 0, self._larger(architectures_at_hand(config))
        for name in names:
            cost = self.overhead + self._pictures() / self._speed(name)
            if not self._afford(f"{name} with a linear head", cost):
                break
            try:
                better = self._try_head(self._prepare(wanted.replace(architecture=name)))
            except StoppedByUser:
                break
            except OpsinError as error:
                self._say(f"{name} is left out: {error}")
                continue
            failures = 0 if better else failures + 1
            if self.stop.made or (name != names[-1] and self._gave_up(failures, "larger backbones are")):
                break

    def try_fine_tuning(self) -> None:
        """The top blocks of the best backbone, one more each time."""
        backbone, wanted = self.best.frozen.backbone, self.first.settings
        blocks = backbone.blocks
        most = len(blocks) - 1
        if wanted.unfreeze != AUTO or wanted.unfreeze_blocks is not None:
            most = min(most, len(blocks_to_train(backbone, wanted)))
        failures = 0
        for number in range(1, most + 1):
            if self.stop.made or self._cannot_be_told_better() or not self._try_blocks(blocks[-number:]):
                break
            failures = 0 if self._last_was_better else failures + 1
            if number < most and self._gave_up(failures, "further blocks are"):
                break

    def finish(self) -> Learned:
        """Return the best, with what was tried as its history."""
        self.first.run.write_history(self.rows)
        learned = self.best.learned
        completed = not self.stop.made
        config = learned.config or self.best.begun.plan.config
        return replace(learned, history=self.rows, completed=completed, config=config, network=None)

    def _try_head(self, begun: Begun) -> bool:
        began = time.monotonic()
        config, name = begun.plan.config, begun.plan.config.architecture
        frozen = FrozenOutputs(begun.network, begun.stored, begun.run, self._deadline())
        headed = fit_head(frozen, begun.class_weights, config, frozen.stop)
        if not headed.history:
            raise StoppedByUser
        self.rows += [{**row, "architecture": name, "blocks": 0} for row in headed.history]
        better = self.best is None or headed.held_out_loss < self.best.headed.held_out_loss
        if better:
            saving = time.monotonic()
            learned = keep_head(begun, headed)
            self.saving = time.monotonic() - saving
            self.best = _Standing(begun, frozen, headed, learned, headed.val_loss, headed.val_accuracy)
        loss = f"held-out loss {headed.held_out_loss:.3f}"
        self._report(f"{name}, {config.head} head", headed.val_accuracy, loss, began, better)
        return better

    def _try_blocks(self, blocks: Sequence[Block]) -> bool:
        """Train some blocks if there is time; return whether there was."""
        best, name = self.best, self.best.begun.plan.config.architecture
        train = len(best.begun.stored[TRAIN])
        speed = self._speed(name)
        config = best.begun.plan.config
        views = MOST_VIEWS if self.first.settings.views is None else config.views
        # An epoch runs the top forward and back, which costs about as much as the whole network forward.
        epoch = train / speed
        fixed = 2 * self.overhead + self._pictures() / speed
        left = self._left()
        while views > 1 and fixed + views * epoch + LEAST_EPOCHS * epoch > left:
            views -= 1
        epochs = min(config.fine_tune_epochs, int((left - fixed - views * epoch) / epoch))
        what = f"{name}, top {len(blocks)} blocks trained" if len(blocks) > 1 else f"{name}, top block trained"
        cost = fixed + (views + max(epochs, LEAST_EPOCHS)) * epoch
        if not self._afford(f"{what} for up to {max(epochs, LEAST_EPOCHS)} epochs on {count(views, 'view')}", cost):
            return False
        began = time.monotonic()
        patience = PATIENCE if self.first.settings.patience is None else config.patience
        # By the loss, as all that is tried is compared.
        settings = config.replace(views=views, fine_tune_epochs=epochs, monitor="val_loss", patience=patience)
        deadline = best.frozen.stop = self._deadline()
        try:
            fitted = fine_tune(
                best.frozen, blocks, best.begun.class_weights, history=self.rows, config=settings, stop=deadline
            )
        except StoppedByUser:
            return False
        except OpsinError as error:
            self._say(f"{what} is left out: {error}")
            return False
        rows = fitted.state.history
        if not rows:
            self._say(
                f"Not finished: {what}. It was stopped in its first epoch, after {time.monotonic() - began:.0f} s."
            )
            return False
        self.rows += [{**row, "architecture": name, "blocks": len(blocks)} for row in rows]
        self._last_was_better = bool(fitted.state.best_epoch)
        judged = best
        if self._last_was_better:
            layers = [layer.name for block in blocks for layer in block.layers]
            classifier = best.begun.saver.save(best.frozen.backbone.network, fine_tuned=layers)
            row = rows[fitted.state.best_epoch - 1]
            kept = settings.replace(unfreeze=AUTO, unfreeze_blocks=len(blocks))
            learned = Learned(classifier, self.rows, best.begun.stored, config=kept)
            self.best = judged = _Standing(
                best.begun, best.frozen, best.headed, learned, row["val_loss"], row["val_accuracy"]
            )
        elif rows:
            row = min(rows, key=lambda one: one["val_loss"])
            judged = _Standing(best.begun, best.frozen, best.headed, best.learned, row["val_loss"], row["val_accuracy"])
        self._report(what, judged.val_accuracy, f"val loss {judged.val_loss:.3f}", began, self._last_was_better)
        return True

    def _gave_up(self, failures: int, what: str) -> bool:
        if failures == FAILURES:
            self._say(f"{failures} in a row were not better: no {what} tried, with {self._left():.0f} s left.")
        return failures == FAILURES

    def _cannot_be_told_better(self) -> bool:
        """Whether validation has nothing left to judge by: its loss alone tells how sure of itself a network is."""
        if self.best.val_accuracy < 1:
            return False
        pictures = count(len(self.first.stored[VAL]), "validation picture")
        self._say(
            f"Not tried: training blocks of {self.best.begun.plan.config.architecture}. It is right about all of "
            f"{pictures}, which cannot tell what is better; more of them could (--val). {self._left():.0f} s are left."
        )
        return True

    def _prepare(self, settings: TrainConfig) -> Begun:
        plan = make_plan(settings, self.first.parts[TRAIN])
        return prepare(plan, self.first.parts, self.first.run, settings=settings)

    def _larger(self, names: Sequence[str]) -> list[str]:
        """Return the backbones that cost more than the first and are known to be better than all before, by cost."""
        chosen, top1 = [], ARCHITECTURES[self.first.plan.config.architecture].top1 or 0.0
        for name in sorted(names, key=_cost):
            if _cost(name) > _cost(self.first.plan.config.architecture) and (ARCHITECTURES[name].top1 or 1.0) > top1:
                chosen.append(name)
                top1 = ARCHITECTURES[name].top1 or top1
        return chosen

    def _deadline(self) -> "StopRequest | Deadline":
        """Return when the step that begins now must leave; the first one may take what it takes."""
        return self.stop if self.best is None else Deadline(self.stop, self.end - self._reserve())

    def _afford(self, what: str, cost: float) -> bool:
        left = self._left()
        if cost > left or self.stop.made:
            self._say(f"Not tried: {what}, about {cost:.0f} s; {left:.0f} s are left.")
            return False
        self._say(f"Next: {what}, about {cost:.0f} s of the {left:.0f} s that are left.")
        return True

    def _left(self) -> float:
        return max(0.0, self.end - time.monotonic() - self._reserve())

    def _reserve(self) -> float:
        """Return the seconds that saving a trained network, judging it and the report will take."""
        judging = _judged_pictures(self.best.begun.stored) / self._speed(self.best.begun.plan.config.architecture)
        return self.overhead + self.saving + judging + REPORT_SECONDS

    def _speed(self, name: str) -> float:
        """Return how many pictures a second a backbone takes: measured, or guessed from one that was."""
        side = self.first.settings.image_size or ARCHITECTURES[name].image_size
        gpu = bool(gpu_count())
        known = recall_speed(name, side, gpu=gpu)
        if known is not None:
            return known
        first = self.first.plan
        measured = recall_speed(first.config.architecture, first.preprocess.shape[0], gpu=gpu) or SLOWEST_GUESS
        return measured * _cost(first.config.architecture) / _cost(name)

    def _pictures(self) -> int:
        return sum(len(images) for images in self.first.stored.values())

    def _report(self, what: str, accuracy: float, loss: str, began: float, better: bool) -> None:
        n = len(self.first.stored[VAL])
        judged = estimate(round(accuracy * n), n)
        kept = "The best so far, saved." if better else "Not better than what there is."
        self._say(
            f"Tried {what}: val accuracy {percent(accuracy)} ({interval(judged)}), {loss}, "
            f"{time.monotonic() - began:.0f} s. {kept}"
        )
        self.first.run.write_history(self.rows)

    def _say(self, text: str) -> None:
        self.first.run.say(text)


def _judged_pictures(stored: Mapping[str, StoredImages]) -> int:
    """Return how many pictures a finished network is run on: those held out, and those it compares others with."""
    known = min(len(stored[TRAIN]), MOST_REFERENCES)
    return known + sum(len(images) for part, images in stored.items() if part != TRAIN)


def _cost(name: str) -> float:
    return float(np.maximum(1, PARAMETERS_AND_MULTIPLY_ADDS[name][1]))
