"""A run's pictures decoded, with an account of every file."""

import time
from concurrent.futures import ThreadPoolExecutor

from opsin.data.account import write_account
from opsin.data.cache import Cache
from opsin.data.dataset import ImageDataset
from opsin.data.store import StoredImages, decode_datasets
from opsin.data.walk import Skipped
from opsin.names import FILES
from opsin.training.plan import Plan
from opsin.training.run_folder import RunFolder

SECONDS_BETWEEN_EVENTS = 0.25

MOST_SAID = 20
"""So many pictures that cannot be used are named one by one; files.csv names them all."""


class Decoding:
    """Decodes the parts of the data in a thread of its own while the block runs; a block that raises ends it.

    Args:
        parts: the data sets, by part.
        plan: settings and recipe.
        run: where events and `files.csv` go.
    """

    def __init__(self, parts: dict[str, ImageDataset], plan: Plan, run: RunFolder):
        self.parts = parts
        self.plan = plan
        self.run = run
        self._events = DecodingEvents(run)

    def __enter__(self) -> "Decoding":
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="opsin-decode")
        self._job = self._pool.submit(self._decode)
        return self

    def __exit__(self, *raised: object) -> None:
        self._events.stopped = any(raised)
        self._pool.shutdown()

    def result(self) -> dict[str, StoredImages]:
        """Wait for the decoded parts; say what cannot be used, and write `files.csv`."""
        stored = dict(zip(self.parts, self._job.result(), strict=True))
        account_for(stored, self.parts, self.run)
        return stored

    def _decode(self) -> list[StoredImages]:
        config = self.plan.config
        cache = Cache(limit_bytes=int(config.cache_limit_gb * 2**30), enabled=config.cache)
        datasets = list(self.parts.values())
        return decode_datasets(datasets, self.plan.preprocess, cache=cache, progress=self._events, say=self.run.say)


def account_for(stored: dict[str, StoredImages], parts: dict[str, ImageDataset], run: RunFolder) -> None:
    """Say what of the parts could not be used, and write `files.csv`."""
    lost = lost_pictures(stored, parts)
    for skipped in lost[:MOST_SAID]:
        run.say(f"Left out {skipped.path!r}: {skipped.reason}")
    if len(lost) > MOST_SAID:
        run.say(f"Left out {len(lost) - MOST_SAID:,} pictures more; {FILES} in the run names them all.")
    write_account(run / FILES, parts, {name: part.unreadable for name, part in stored.items()})


def lost_pictures(stored: dict[str, StoredImages], parts: dict[str, ImageDataset]) -> list[Skipped]:
    """Return the pictures that were meant to be used and cannot be found or read."""
    listings = {id(part.listing): part.listing for part in parts.values()}.values()
    missing = [skipped for listing in listings for skipped in listing.skipped if skipped.lost]
    return missing + [skipped for part in stored.values() for skipped in part.unreadable]


class _Stopped(Exception):  # noqa: N818 - no error, the way out of decoding for nobody
    pass


class DecodingEvents:
    """Emits `decoding` a few times a second, and ends it once nobody waits for it.

    Args:
        run: whose events they are.
        what: is decoded, in the plural.
    """

    def __init__(self, run: RunFolder, what: str = "pictures"):
        self.run = run
        self.what = what
        self.last = 0.0
        self.stopped = False

    def __call__(self, done: int, total: int) -> None:
        """Take in how many are done."""
        if self.stopped:
            raise _Stopped
        now = time.monotonic()
        if now - self.last > SECONDS_BETWEEN_EVENTS or done == total:
            self.last = now
            self.run.emit("decoding", what=self.what, done=done, total=total)
