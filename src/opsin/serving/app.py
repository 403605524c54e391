"""The application: models, routes and what stands in front of them."""

import asyncio
import contextlib
import functools
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, request_response
from starlette.types import ASGIApp, Receive, Scope, Send

from opsin.catalog import choose
from opsin.errors import ModelError, OpsinError, UsageError
from opsin.serving import openapi
from opsin.serving.answers import answer, failure
from opsin.serving.guard import Guard
from opsin.serving.loading import Source, name_of, opener
from opsin.serving.metrics import Metrics, VersionMetrics
from opsin.serving.models import Model, Models
from opsin.serving.observing import Observing
from opsin.serving.routes import Routes
from opsin.serving.settings import Settings
from opsin.serving.status import StatusError

log = logging.getLogger("opsin.serving")


class Server:
    """All of a server but its socket.

    Args:
        models: what is served.
        settings: how.
        sources: where versions come from.
        metrics: where requests are counted; None for new ones.
    """

    def __init__(
        self, models: Models, settings: Settings, sources: Sequence[Source] = (), metrics: Metrics | None = None
    ):
        self.models = models
        self.settings = settings
        self.sources = tuple(sources)
        self.metrics = metrics or Metrics(models)
        self.routes = Routes(models, settings, self.metrics)
        self.failure: OpsinError | None = None
        """Why a model could not be loaded when the server started."""
        self._elsewhere = self._others()
        self.app = self._app()

    @classmethod
    def of_paths(cls, paths: Mapping[str, Path], settings: Settings) -> "Server":
        """Prepare a server for models by name; nothing is loaded before it starts.

        Raises:
            UsageError: there is nothing at a path, or a label is of no model.
        """
        for label in settings.label:
            choose("model of a --label", label.partition(":")[0], paths)
        models = Models({name: Model(name, labels=settings.labels_of(name), starting=True) for name in paths})
        metrics = Metrics(models)
        sources = [
            Source(
                models.by_name[name],
                path,
                opener(settings, functools.partial(VersionMetrics, metrics, name)),
                settings.keep,
            )
            for name, path in paths.items()
        ]
        return cls(models, settings, sources, metrics)

    def drain(self) -> None:
        """Take no more requests; those that are there are answered."""
        self.routes.draining = True

    def _app(self) -> ASGIApp:
        app = Guard(self._answer, self.settings)
        return Observing(app, self.metrics, self.settings.access_log)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that was let in: one to a model goes past all that is looked for elsewhere."""
        handle = self._of_models(scope["path"]) if scope["type"] == "http" else None
        if handle is None:
            await self._elsewhere(scope, receive, send)
        else:
            response = await handle(Request(scope, receive))
            await response(scope, receive, send)

    def _of_models(self, path: str) -> Callable[[Request], Awaitable[Response]] | None:
        # Not routes: their patterns know of no line breaks, which addresses may hold. TensorFlow Serving's are the same
        # in capitals.
        if path[:4].lower() == "/v1/":
            return self.routes.version_one
        if path == "/v2" or path.startswith("/v2/"):
            return self.routes.version_two
        return None

    def _others(self) -> Starlette:
        routes = self.routes
        app = Starlette(
            routes=[
                Route("/healthz", routes.healthz),
                Route("/readyz", routes.readyz),
                Route("/metrics", routes.scrape),
                Route("/openapi.json", self._openapi),
                Route("/docs", self._docs),
                Route("/docs.css", self._style),
                Route("/admin/models/{name}/default", routes.choose_version, methods=["POST"]),
            ],
            lifespan=self._lifespan,
            exception_handlers={HTTPException: _of_starlette},
        )
        app.router.redirect_slashes = False
        app.router.default = request_response(_nowhere)
        return app

    async def _openapi(self, request: Request) -> Response:
        return answer(openapi.document(list(self.models.by_name), self.settings))

    async def _docs(self, request: Request) -> Response:
        found = openapi.document(list(self.models.by_name), self.settings)
        return Response(openapi.page(found), media_type="text/html")

    async def _style(self, request: Request) -> Response:
        return Response(openapi.STYLE, media_type="text/css")

    @contextlib.asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        if self.settings.workers > 1:
            # It shares its socket: what it could not answer yet, another process can.
            await self._load()
        watching = asyncio.create_task(self._load_and_watch())
        try:
            yield
        finally:
            watching.cancel()
            self.routes.explainer.close()
            for model in self.models.by_name.values():
                for version in model.available():
                    model.retire(version.number)

    async def _load(self) -> None:
        try:
            for source in self.sources:
                await source.start()
        except OpsinError as error:
            self.failure = error
            self.routes.draining = True
            return
        except Exception as error:
            log.exception("a model cannot be loaded")
            self.failure = ModelError(f"Expected a model that can be loaded; it fails: {error!r}. The log says where.")
            self.routes.draining = True
            return
        log.info("ready: %s", ", ".join(self.models.by_name))

    async def _load_and_watch(self) -> None:
        if self.settings.workers == 1:
            await self._load()
        watched = [source for source in self.sources if source.watched]
        while watched or self.settings.workers > 1:
            await asyncio.sleep(self.settings.poll)
            self.metrics.note_state()
            for source in watched:
                try:
                    await source.look()
                except Exception:
                    log.exception("%s: its folder of versions cannot be looked at", source.model.name)


async def _nowhere(request: Request) -> Response:
    return failure(StatusError("NOT_FOUND", f"There is nothing at {request.scope['path'][:300]}."))


async def _of_starlette(request: Request, error: HTTPException) -> Response:
    return answer({"error": f"{error.detail}."}, error.status_code, dict(error.headers or {}))


def name_models(paths: Sequence[Path], names: Sequence[str]) -> dict[str, Path]:
    """Return models by name: those given, in the order of the paths, else as their folders are called.

    Raises:
        UsageError: there are more names than paths, or two models of one name.
    """
    if len(names) > len(paths):
        raise UsageError(f"Expected at most a --name for each PATH, {len(paths)}; received {len(names)}.")
    found: dict[str, Path] = {}
    for number, path in enumerate(paths):
        name = names[number] if number < len(names) else name_of(path)
        if not name or any(letter in "/:?#% " for letter in name):
            raise UsageError(f"Expected a name of letters, digits, '-', '_' and '.'; received {name!r}.")
        if name in found:
            raise UsageError(f"Expected different names; two models are called {name!r}. Give them with --name.")
        found[name] = path
    return found
