"""Several processes behind one socket: started, watched, and ended together."""

import contextlib
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess

from opsin.catalog import require
from opsin.errors import ModelError

log = logging.getLogger("opsin.serving")

METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client lets processes count together."""
_PATIENCE = 5.0
"""Seconds that a process must have lived to be started again when it falls."""

Work = Callable[[socket.socket], None]


def run_processes(count: int, work: Work, sock: socket.socket, *, stop_timeout: float) -> None:
    """Run the same work in several processes until SIGTERM or Ctrl-C; one that falls is started again.

    Args:
        count: how many.
        work: is given the socket; importable, as each process imports it anew.
        sock: listens.
        stop_timeout: seconds that they have to end.

    Raises:
        ModelError: one of them does not start.
    """
    with tempfile.TemporaryDirectory(prefix="opsin-metrics-") as folder:
        os.environ[METRICS_FOLDER] = folder
        supervisor = _Supervisor(count, work, sock)
        try:
            supervisor.run()
        finally:
            supervisor.end(stop_timeout)
            del os.environ[METRICS_FOLDER]


def end_with_parent() -> None:
    """Let this process end when the one that started it does, however that happens."""
    parent = multiprocessing.parent_process()

    def watch() -> None:
        if parent is not None:
            parent.join()
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


class _Supervisor:
    def __init__(self, count: int, work: Work, sock: socket.socket):
        self._context = multiprocessing.get_context("spawn")
        self._work, self._socket = work, sock
        self._stopping = False
        self._since: dict[BaseProcess, float] = {}
        # What is Python's stderr here may not be the one that processes inherit.
        with contextlib.suppress(OSError, AttributeError, ValueError):
            os.dup2(sys.stderr.fileno(), 2)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._stop)
        for _ in range(count):
            self._start()

    def run(self) -> None:
        while not self._stopping:
            ended = wait([process.sentinel for process in self._since], timeout=0.2)
            for process in [one for one in self._since if one.sentinel in ended]:
                self._fell(process)

    def end(self, seconds: float) -> None:
        for process in self._since:
            if process.is_alive():
                process.terminate()
        until = time.monotonic() + seconds
        for process in self._since:
            process.join(max(0.0, until - time.monotonic()))
            if process.is_alive():
                process.kill()
                process.join()

    def _start(self) -> None:
        process = self._context.Process(target=self._work, args=(self._socket,))
        process.start()
        self._since[process] = time.monotonic()

    def _fell(self, process: BaseProcess) -> None:
        lived = time.monotonic() - self._since.pop(process)
        require("prometheus_client.multiprocess", "serving").mark_process_dead(process.pid)
        if self._stopping:
            return
        if lived < _PATIENCE:
            raise ModelError("Expected every process to start; one ended at once. What it said stands above.")
        log.error("a process ended with %s; another is started", process.exitcode)
        self._start()

    def _stop(self, number: int, frame: object) -> None:
        if self._stopping:
            # Asked twice: at once.
            for process in self._since:
                process.kill()
        self._stopping = True
