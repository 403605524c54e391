"""A run's pictures decoded, with an account of every file."""

import time

from opsin.data.account import write_account
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import StoredImages, decode_datasets
from opsin.data.walk import Skipped
from opsin.images.preprocess import Preprocess
from opsin.names import FILES
from opsin.training.config import TrainConfig
from opsin.training.run_folder import RunFolder

SECONDS_BETWEEN_EVENTS = 0.25

MOST_SAID = 20
"""So many pictures that cannot be used are named one by one; files.csv names them all."""


def decode_parts(
    parts: dict[str, ImageDataset], preprocess: Preprocess, *, config: TrainConfig, run: RunFolder
) -> dict[str, StoredImages]:
    """Decode the parts of the data, say what cannot be used, and write `files.csv`."""
    cache = Cache(limit_bytes=int(config.cache_limit_gb * 2**30), enabled=config.cache)
    datasets = list(parts.values())
    stored = decode_datasets(datasets, preprocess, cache=cache, progress=_Events(run), say=run.say)
    stored = dict(zip(parts, stored, strict=True))
    lost = lost_pictures(stored, parts)
    for skipped in lost[:MOST_SAID]:
        run.say(f"Left out {skipped.path!r}: {skipped.reason}")
    if len(lost) > MOST_SAID:
        run.say(f"Left out {len(lost) - MOST_SAID:,} pictures more; {FILES} in the run names them all.")
    write_account(run / FILES, parts, {name: part.unreadable for name, part in stored.items()})
    return stored


def lost_pictures(stored: dict[str, StoredImages], parts: dict[str, ImageDataset]) -> list[Skipped]:
    """Return the pictures that were meant to be used and cannot be found or read."""
    listings = {id(part.listing): part.listing for part in parts.values()}.values()
    missing = [skipped for listing in listings for skipped in listing.skipped if skipped.lost]
    return missing + [skipped for part in stored.values() for skipped in part.unreadable]


class _Events:
    """Emits `decoding` a few times a second."""

    def __init__(self, run: RunFolder):
        self.run = run
        self.last = 0.0

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self.last > SECONDS_BETWEEN_EVENTS or done == total:
            self.last = now
            self.run.emit("decoding", done=done, total=total)
