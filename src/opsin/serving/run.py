"""Running a server: its socket, its signals, its log, its processes."""

import contextlib
import functools
import logging
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import uvicorn

from opsin.allocation import give_back_large
from opsin.errors import OpsinError, UsageError
from opsin.serving.app import Server
from opsin.serving.connection import PatientProtocol
from opsin.serving.loading import find_servable
from opsin.serving.processes import end_with_parent, run_processes
from opsin.serving.settings import Settings

log = logging.getLogger("opsin.serving")


class GracefulUvicorn(uvicorn.Server):
    """uvicorn, that drains before it ends, and ends with exit code 0.

    Args:
        server: what it serves.
    """

    def __init__(self, server: Server):
        super().__init__(_config(server))
        self._server = server
        self._end: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Drain at SIGTERM and Ctrl-C, while the block lasts."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        numbers = [signal.SIGTERM] if self._server.settings.workers > 1 else [signal.SIGINT, signal.SIGTERM]
        before = {number: signal.signal(number, self._stop) for number in numbers}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, frame: object) -> None:
        if self._end is not None:
            if self._server.settings.workers > 1:
                # Whoever stops all processes at once, and then the supervisor each of them, asks once.
                return
            # Asked twice: at once.
            self.force_exit = self.should_exit = True
            return
        self._server.drain()
        self._end = time.monotonic() + self._server.settings.drain

    async def on_tick(self, counter: int) -> bool:
        """Tell whether to end, ten times a second."""
        if self._server.failure or (self._end is not None and time.monotonic() >= self._end):
            self.should_exit = True
        return await super().on_tick(counter)


def serve(paths: Mapping[str, Path], settings: Settings) -> None:
    """Serve models until SIGTERM or Ctrl-C; requests in flight are answered first.

    Args:
        paths: models by name.
        settings: how.

    Raises:
        OpsinError: a model cannot be used, or the address is taken.
    """
    set_up_logs()
    for path in paths.values():
        find_servable(path)
    sock = _bind(settings)
    if settings.workers == 1:
        _work(paths, settings, sock)
    else:
        work = functools.partial(_work_in_process, paths, settings)
        run_processes(settings.workers, work, sock, stop_timeout=settings.drain + settings.stop_timeout + 5)


def _work(paths: Mapping[str, Path], settings: Settings, sock: socket.socket) -> None:
    # A server whose versions change would keep what the old ones took.
    give_back_large()
    server = Server.of_paths(paths, settings)
    GracefulUvicorn(server).run(sockets=[sock])
    if server.failure is not None:
        raise server.failure


def _work_in_process(paths: Mapping[str, Path], settings: Settings, sock: socket.socket) -> None:
    set_up_logs()
    end_with_parent()
    # Ctrl-C goes to all processes of a terminal; the supervisor tells this one.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _work(paths, settings, sock)
    except OpsinError as error:
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _bind(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Without its protocol named, asyncio does not switch off Nagle's algorithm, and answers wait 40 ms.
    sock = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((settings.host, settings.port))
    except OSError as error:
        sock.close()
        raise UsageError(
            f"Expected an address that is free; {settings.host}:{settings.port} cannot be had: {error.strerror}. "
            "Choose another --host or --port."
        ) from None
    sock.set_inheritable(True)
    log.info("listening at http://%s:%d", settings.host, sock.getsockname()[1])
    return sock


def _config(server: Server) -> uvicorn.Config:
    settings = server.settings
    return uvicorn.Config(
        server.app,
        host=settings.host,
        port=settings.port,
        http=PatientProtocol,
        ws="none",
        loop="asyncio",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        lifespan="on",
        limit_concurrency=settings.max_connections,
        timeout_keep_alive=max(1, round(settings.read_timeout)),
        timeout_graceful_shutdown=max(1, round(settings.stop_timeout)),
        backlog=512,
    )


def set_up_logs() -> None:
    """Write the access log to stdout, all else to stderr."""
    for name, stream, form in (
        ("opsin.serving", sys.stderr, "%(levelname)s: %(message)s"),
        ("uvicorn.error", sys.stderr, "%(levelname)s: %(message)s"),
        ("opsin.serving.access", sys.stdout, "%(message)s"),
    ):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(logging.Formatter(form))
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.WARNING if name == "uvicorn.error" else logging.INFO)
