"""The door: each address parses, calls one function, and answers."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from opsin.serving import open_inference, tf_rest
from opsin.serving.answers import answer, drain, failure
from opsin.serving.body import Bodies, Disconnected
from opsin.serving.explaining import Explainer
from opsin.serving.json_reading import parse_object
from opsin.serving.metrics import Metrics
from opsin.serving.models import Models
from opsin.serving.pictures import Told, classify_images, explain_image, read_picture_address, read_pictures
from opsin.serving.settings import Settings
from opsin.serving.status import StatusError, invalid
from opsin.serving.tf_rest import Target

log = logging.getLogger("opsin.serving")


class Routes:
    """What answers requests, once they are let in.

    Args:
        models: what is served.
        settings: what requests may be.
        metrics: where they are counted.
    """

    def __init__(self, models: Models, settings: Settings, metrics: Metrics):
        self.models = models
        self.settings = settings
        self.metrics = metrics
        self.bodies = Bodies(settings)
        self.explainer = Explainer()
        self.draining = False

    # The machine's own

    async def healthz(self, request: Request) -> Response:
        """Tell that the process lives."""
        return answer({"status": "alive"})

    async def readyz(self, request: Request) -> Response:
        """Tell whether requests are welcome."""
        if self.draining:
            return answer({"status": "draining"}, 503)
        if not self.models.ready():
            return answer({"status": "loading"}, 503)
        return answer({"status": "ready"})

    async def scrape(self, request: Request) -> Response:
        """Give Prometheus its numbers."""
        return Response(self.metrics.write(), media_type="text/plain; version=0.0.4; charset=utf-8")

    async def choose_version(self, request: Request) -> Response:
        """Let a version of a model that is loaded answer from now on: the one before the newest, say."""
        return await self._guarded(request, self._choose_version)

    async def _choose_version(self, request: Request) -> Response:
        name = request.path_params["name"]
        _note(request, "default", name)
        if not (self.settings.api_key or self.settings.is_loopback):
            raise StatusError(
                "PERMISSION_DENIED", "Expected a server with --api-key for this; anybody may ask this one."
            )
        if self.settings.workers > 1:
            raise StatusError("UNIMPLEMENTED", "Expected one worker; several do not know of each other's choice.")

        async def call(body: bytes) -> Response:
            document = parse_object(body, max_values=1000)
            number = document.get("version")
            if "version" not in document or (number is not None and type(number) is not int):
                raise invalid('Expected {"version": a number}, or null for the newest; received another body.')
            version = self.models.choose(name, number)
            log.warning("%s: version %d answers, as was asked for", name, version.number)
            return answer({"model": name, "version": version.number, "chosen": number is not None})

        return await self._with_body(request, call)

    # Models

    async def version_one(self, request: Request) -> Response:
        """Answer what is below `/v1`: TensorFlow Serving's API, and pictures."""
        if request.method == "OPTIONS" and "origin" in request.headers:
            return Response(status_code=200)
        return await self._guarded(request, self._version_one)

    async def version_two(self, request: Request) -> Response:
        """Answer what is below `/v2`: the Open Inference Protocol."""
        return await self._guarded(request, self._version_two)

    async def _version_one(self, request: Request) -> Response:
        path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
        if request.method == "POST" and (target := read_picture_address(path)):
            return await self._pictures(request, target)
        query = request.scope["query_string"].decode("latin-1")
        target = tf_rest.read_address(request.method, f"{path}?{query}" if query else path)
        _note(request, target.verb or "status", target.name)
        if target.verb == "metadata":
            return answer(tf_rest.metadata(self.models, target))
        if not target.verb:
            return answer(tf_rest.status(self.models, target))

        async def call(body: bytes) -> Response:
            text, version = await tf_rest.call(self.models, target, body, max_values=self.settings.max_values)
            _note(request, target.verb, target.name, version=version.number)
            return answer(text)

        return await self._with_body(request, call)

    async def _pictures(self, request: Request, target: Target) -> Response:
        _note(request, target.verb, target.name)
        if target.verb == "explain_image" and not self.settings.explain:
            raise StatusError("UNIMPLEMENTED", "Explanations are switched off on this server.")

        async def call(body: bytes) -> Response:
            asked = await read_pictures(request, body, self.settings)
            if target.verb == "explain_image":
                return answer(await explain_image(self.models, target, asked, self.explainer))
            told = await classify_images(self.models, target, asked)
            return self._told(request, target, told)

        return await self._with_body(request, call)

    def _told(self, request: Request, target: Target, told: Told) -> Response:
        number = told.document["version"]
        _note(request, target.verb, target.name, version=number, pictures=len(told.seen), **told.document["timing_ms"])
        return answer(told.document, told.status)

    async def _version_two(self, request: Request) -> Response:
        asked = open_inference.read_address(request.method, request.scope["path"])
        _note(request, f"v2_{asked.verb}", asked.name)
        if asked.verb != "infer":
            document, status = open_inference.tell(self.models, asked, ready=not self.draining)
            return answer(document, status)

        async def call(body: bytes) -> Response:
            document, version = await open_inference.infer(
                self.models, asked, body, max_values=self.settings.max_values
            )
            _note(request, "v2_infer", asked.name, version=version.number)
            return answer(document)

        return await self._with_body(request, call)

    async def _with_body(self, request: Request, call: Callable[[bytes], Awaitable[Response]]) -> Response:
        if self.draining:
            raise StatusError("UNAVAILABLE", "The server is stopping. Try another one.", {"Retry-After": "1"})
        body = await self.bodies.read(request)
        request.scope["opsin.log"]["bytes_in"] = len(body)
        try:
            return await self._while_connected(request, call(body))
        finally:
            self.bodies.release(body)

    async def _while_connected(self, request: Request, answering: Awaitable[Response]) -> Response:
        """Wait for the answer, unless the client goes, or the time is over."""
        gone = asyncio.ensure_future(request.receive())
        try:
            async with asyncio.timeout(self.settings.timeout) as patience:
                gone.add_done_callback(end := _ender(patience))
                try:
                    return await answering
                finally:
                    gone.remove_done_callback(end)
        except TimeoutError:
            if not patience.expired():
                raise
            if gone.done():
                raise Disconnected from None
            raise StatusError(
                "DEADLINE_EXCEEDED", f"Expected an answer within {self.settings.timeout:g} s; there is none yet."
            ) from None
        finally:
            gone.cancel()

    async def _guarded(self, request: Request, handle: Callable[[Request], Awaitable[Response]]) -> Response:
        try:
            return await handle(request)
        except StatusError as error:
            response = failure(error)
        except Disconnected:
            return Response(status_code=499)
        except Exception:
            log.exception("a request failed")
            response = failure(StatusError("INTERNAL", "The server failed; its log says why."))
        if request.method == "POST" and not request.scope.get("opsin.read"):
            await drain(request.receive)
            response.headers["connection"] = "close"
        return response


def _ender(patience: asyncio.Timeout) -> Callable[[asyncio.Future], None]:
    """Return what ends the time that something may take, now."""

    def end(_: asyncio.Future) -> None:
        # It may have come to its end in the same turn of the loop.
        with contextlib.suppress(RuntimeError):
            patience.reschedule(asyncio.get_running_loop().time())

    return end


def _note(request: Request, verb: str, model: str, **more: Any) -> None:
    """Note for the log and the metrics what a request is about."""
    request.scope["opsin.log"].update(verb=verb, model=model[:200], **more)
