"""What must hold before a training begins, or goes on."""

import dataclasses
import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path

from opsin.atomic import write_text
from opsin.catalog import require_installed
from opsin.data.account import account_of, read_account, read_parts
from opsin.data.dataset import DatasetSplits, ImageDataset, require_learnable
from opsin.data.splits import TRAIN, VAL
from opsin.errors import DataError, ModelError, UsageError
from opsin.names import CHECKPOINT, CONFIG, FILES, WEIGHTS_HASH
from opsin.training.config import AUTO, TrainConfig
from opsin.training.run_folder import RunFolder
from opsin.training.settings import Settings

HARMLESS = {"cache", "cache_limit_gb", "tensorboard", "profile", "offline"}
"""Settings that change nothing in what is learned."""


def require_trainable(parts: Mapping[str, ImageDataset], config: TrainConfig) -> None:
    """Raise unless the parts of the data fit together and what training needs is installed.

    Raises:
        DataError: classes differ, a class cannot be learned, a part is empty, or a picture is in two parts.
        MissingPackageError: an optional package is missing.
    """
    optional = ["tensorboard"] if config.tensorboard else []
    require_installed(["keras", "sklearn", "matplotlib", "tomli_w", *optional], "training")
    names = parts[TRAIN].class_names
    for part, dataset in parts.items():
        if dataset.class_names != names:
            raise DataError(
                f"Expected the same classes in every part; train has {names}, {part} has {dataset.class_names}. "
                "Read all parts from one folder, or make their class folders the same (an empty one is fine)."
            )
    require_learnable(ImageDataset(parts[TRAIN].listing))
    if not len(parts[VAL]):
        raise DataError(
            "Expected pictures for validation; there are too few to share out. Three of each class are enough; with "
            "two, hold none out for the report: --test 0."
        )
    _require_apart(parts)


def _require_apart(parts: Mapping[str, ImageDataset]) -> None:
    seen: dict[str, str] = {}
    for part, dataset in parts.items():
        for path in dataset.paths:
            if seen.setdefault(path, part) != part:
                raise DataError(
                    f"Expected each picture in one part; {path!r} is in {seen[path]} and in {part}, so the report "
                    "would be about pictures that were learned by heart. Split with dataset.split()."
                )


def parts_of_run(run: RunFolder, dataset: ImageDataset) -> DatasetSplits:
    """Share a data set out as a run that is resumed has it, whatever has been found out about the data since.

    Raises:
        UsageError: there are pictures that it was not started on.
    """
    parts = read_parts(run / FILES, dataset)
    others = set(dataset.names).difference(*(part.names for part in parts.values()))
    if others:
        raise _others(run, others)
    return DatasetSplits(**parts)


def as_begun(run: RunFolder, config: Settings) -> Settings:
    """Return the settings of a run that is resumed with what the machine has settled in the place of `auto`."""
    before = type(config).from_toml(run / CONFIG)
    open_ = {name: getattr(before, name) for name in ("architecture", "precision") if getattr(config, name) == AUTO}
    return config.replace(**open_)


def require_same_run(run: RunFolder, config: Settings, parts: Mapping[str, ImageDataset]) -> None:
    """Raise unless a run that is resumed has the settings and the split that it was started with.

    Raises:
        UsageError: some setting or some picture differs.
    """
    before = dataclasses.asdict(type(config).from_toml(run / CONFIG))
    now = dataclasses.asdict(config)
    # What is left open now was settled by the machine then.
    differing = [name for name in now if name not in HARMLESS and now[name] not in (before[name], AUTO)]
    if differing:
        said = ", ".join(f"{name} (was {before[name]!r}, is {now[name]!r})" for name in differing)
        raise UsageError(f"Expected the settings that the run was started with; these differ: {said}. Start a new run.")
    known = {(row["path"], row["label"], row["split"], row["bytes"]) for row in read_account(run / FILES)}
    changed = known ^ set(account_of(parts))
    if changed:
        raise _others(run, [path for path, *_ in changed])


def require_same_weights(run: RunFolder, path: Path) -> None:
    """Note the file of pretrained weights that a run starts from; raise if it was another when it was started.

    Raises:
        UsageError: its content has changed.
        ModelError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"Expected a file of weights at {str(path)!r}; it cannot be read: {error}.") from error
    noted = run / CHECKPOINT / WEIGHTS_HASH
    if not noted.is_file():
        noted.parent.mkdir(exist_ok=True)
        write_text(noted, found + "\n")
    elif noted.read_text(encoding="utf-8").strip() != found:
        raise UsageError(
            f"Expected the weights that the run was started with; {str(path)!r} has changed since. Put the file back, "
            "or start a new run."
        )


def _others(run: RunFolder, names: Collection[str]) -> UsageError:
    return UsageError(
        f"Expected the pictures, labels and split that the run in {str(run.path)!r} was started on; "
        f"{min(names)!r} and {len(names) - 1} others are not the same. Start a new run."
    )
