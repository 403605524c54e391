"""`:explain_image`: why a picture is said to be what it is. TensorFlow computes it, in a process of its own.

The server itself stays small, and a network that takes all memory takes another process down.
"""

import asyncio
import base64
import functools
import io
import multiprocessing
from collections.abc import Callable
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from opsin.catalog import resolve
from opsin.errors import OpsinError
from opsin.model_folder import find_model_folder
from opsin.serving.status import StatusError, invalid

_MOST_WAITING = 4
_METHOD = "grad_cam"
_SECONDS = 180
"""What a picture may take before its process is given up."""


class Job(NamedTuple):
    """What is to be explained."""

    folder: Path
    content: bytes
    method: str
    class_name: str | None


class Explainer:
    """Explains one picture at a time; the process starts with the first one.

    Args:
        work: what the process does: `work_on`.
        is_installed: tells whether TensorFlow is there.
    """

    def __init__(
        self,
        work: Callable[[Connection], None] | None = None,
        is_installed: Callable[[], bool] = lambda: find_spec("tensorflow") is not None,
    ):
        self._work = work or work_on
        self._is_installed = is_installed
        self._process: multiprocessing.process.BaseProcess | None = None
        self._pipe: Connection | None = None
        self._lock = asyncio.Lock()
        self._waiting = 0

    async def explain(self, job: Job) -> dict[str, Any]:
        """Return the class, its probability and a picture with the heat map over it, a PNG in base64.

        Raises:
            StatusError: TensorFlow is not installed, too many wait, or the picture or the options are wrong.
        """
        if not self._is_installed():
            raise StatusError("UNIMPLEMENTED", "Expected TensorFlow on the server: pip install 'opsin[train]'.")
        if self._waiting >= _MOST_WAITING:
            raise StatusError("RESOURCE_EXHAUSTED", "Others wait for explanations. Try again.", {"Retry-After": "5"})
        # One that is given up is worked out all the same: its answer must not be taken for the next one's, and a
        # process that has just loaded TensorFlow is worth keeping.
        task = asyncio.ensure_future(self._ask(job))
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        return await asyncio.shield(task)

    async def _ask(self, job: Job) -> dict[str, Any]:
        self._waiting += 1
        try:
            async with self._lock:
                found = await asyncio.to_thread(self._send, job)
        except (EOFError, OSError) as error:
            self.close()
            raise StatusError("INTERNAL", "The process that explains has ended. Try again.") from error
        finally:
            self._waiting -= 1
        if isinstance(found, str):
            raise invalid(found)
        return found

    def _send(self, job: Job) -> dict[str, Any] | str:
        if self._process is None or not self._process.is_alive():
            context = multiprocessing.get_context("spawn")
            self._pipe, theirs = context.Pipe()
            # Daemons end with the server.
            self._process = context.Process(target=self._work, args=(theirs,), daemon=True)
            self._process.start()
            theirs.close()
        self._pipe.send(job)
        if not self._pipe.poll(_SECONDS):
            raise EOFError
        return self._pipe.recv()

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process = None


def work_on(pipe: Connection) -> None:
    """Explain what comes through the pipe until it is closed."""
    opened = functools.lru_cache(maxsize=2)(resolve("opsin.explanation.opening:open_network"))
    while True:
        try:
            job = pipe.recv()
        except EOFError:
            return
        try:
            pipe.send(_explain(opened(find_model_folder(job.folder)), job))
        except OpsinError as error:
            pipe.send(getattr(error, "reason", None) or str(error).replace(str(job.folder), "the model"))


def _explain(network: Any, job: Job) -> dict[str, Any]:
    explanation = resolve("opsin.explanation.explain:explain")(
        network, job.content, method=job.method, class_name=job.class_name
    )
    buffer = io.BytesIO()
    sheet = resolve("opsin.explanation.overlay:draw_sheet")([explanation])
    Image.fromarray(sheet).save(buffer, "PNG")
    return {
        "label": explanation.class_name,
        "probability": explanation.probability,
        "method": explanation.method,
        "layer": explanation.layer,
        "peak": explanation.peak,
        "image": {"b64": base64.b64encode(buffer.getvalue()).decode()},
    }


def read_job(folder: Path, content: bytes, options: dict[str, Any]) -> Job:
    """Return what is asked for.

    Raises:
        StatusError: an option is no text.
    """
    method, class_name = options.get("method", _METHOD), options.get("class")
    if not isinstance(method, str) or not (class_name is None or isinstance(class_name, str)):
        raise invalid("Expected 'method' and 'class' as text; received another value.")
    return Job(folder, content, method, class_name)
