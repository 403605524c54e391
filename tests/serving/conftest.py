"""Servers that run in a thread, and small models that need no network."""

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from opsin.serving.app import Server
from opsin.serving.examples import parse_column
from opsin.serving.models import Model, Models, Version
from opsin.serving.run import GracefulUvicorn
from opsin.serving.servable import CLASSIFY, REGRESS, Signature, TensorSpec
from opsin.serving.settings import Settings

DTYPES = ("float32", "float64", "int8", "int32", "uint8", "int64", "uint32", "uint64", "bool", "string")


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def error(self) -> str:
        assert set(self.json) == {"error"}
        return self.json["error"]


@dataclass
class Running:
    """A server that listens, and a way to ask it."""

    server: Server
    port: int
    headers: dict[str, str] = field(default_factory=dict)
    connections: set = field(default_factory=set)
    """Those that are open."""

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            if isinstance(body, dict):
                body = json.dumps(body)
            connection.request(
                method, path, body.encode() if isinstance(body, str) else body, {**self.headers, **(headers or {})}
            )
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        return self.ask("POST", path, body, {name.replace("_", "-"): value for name, value in headers.items()})

    def wait_until(self, holds: Callable[[], bool], seconds: float = 20.0) -> None:
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, "it does not come to hold"
            time.sleep(0.01)


@contextlib.contextmanager
def running(server: Server, *, send_buffer: int | None = None) -> Iterator[Running]:
    """Let a server listen at a free port until the block ends."""
    uvicorn = GracefulUvicorn(server)
    sock = socket.create_server(("127.0.0.1", 0))
    if send_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer)
    thread = threading.Thread(target=uvicorn.run, kwargs={"sockets": [sock]}, daemon=True)
    thread.start()
    found = Running(server, sock.getsockname()[1], connections=uvicorn.server_state.connections)
    try:
        found.wait_until(lambda: uvicorn.started)
        if server.sources:
            found.wait_until(lambda: server.models.ready() or server.failure is not None)
        yield found
    finally:
        uvicorn.should_exit = True
        thread.join(20)


def settings(**changes: Any) -> Settings:
    return Settings(**{"port": 0, "access_log": False, "drain": 0.0, "stop_timeout": 5.0, **changes})


class Functions:
    """A servable of plain functions."""

    def __init__(self, **parts: tuple[Signature, Callable[[Mapping[str, np.ndarray]], dict[str, np.ndarray]]]):
        self.signatures = {name: signature for name, (signature, _) in parts.items()}
        self._functions = {name: function for name, (_, function) in parts.items()}

    async def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        for name, spec in self.signatures[signature].inputs.items():
            assert inputs[name].dtype == spec.type.numpy
        return self._functions[signature](inputs)


ANY = TensorSpec("float32")
STRINGS = TensorSpec("string", (None,))
COLUMN = TensorSpec("float32", (None, 1))


def half_plus(constant: float) -> Functions:
    """x -> x / 2 + constant, also for `tf.Example`s."""

    def line(x: np.ndarray) -> np.ndarray:
        return x * np.float32(0.5) + np.float32(constant)

    def of_examples(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
        return line(parse_column(inputs["inputs"], "x", "float", 1))

    return Functions(
        serving_default=(Signature({"x": ANY}, {"y": ANY}), lambda inputs: {"y": line(inputs["x"])}),
        regress=(
            Signature({"inputs": STRINGS}, {"outputs": COLUMN}, REGRESS),
            lambda inputs: {"outputs": of_examples(inputs)},
        ),
        classify=(
            Signature({"inputs": STRINGS}, {"scores": COLUMN}, CLASSIFY),
            lambda inputs: {"scores": of_examples(inputs)},
        ),
    )


def identities() -> Functions:
    """A signature for each dtype that gives back what it takes."""
    parts = {
        dtype: (Signature({"x": TensorSpec(dtype)}, {"y": TensorSpec(dtype)}), lambda inputs: {"y": inputs["x"]})
        for dtype in DTYPES
    }
    strings = Signature({"x": TensorSpec("string")}, {"y_bytes": TensorSpec("string")})
    return Functions(
        **parts, serving_default=parts["float32"], bytes=(strings, lambda inputs: {"y_bytes": inputs["x"]})
    )


def pairs() -> Functions:
    """Two inputs and two outputs, and outputs that do not go by rows."""
    a, b, scalar = TensorSpec("float32", (None,)), TensorSpec("float32", (None, 2)), TensorSpec("float32", ())
    return Functions(
        serving_default=(
            Signature({"a": a, "b": b}, {"sum": a, "product": b}),
            lambda inputs: {
                "sum": inputs["a"] + inputs["b"].sum(axis=1),
                "product": inputs["a"][:, None] * inputs["b"],
            },
        ),
        uneven=(
            Signature({"a": a}, {"same": a, "three": TensorSpec("float32", (3,))}),
            lambda inputs: {"same": inputs["a"], "three": np.zeros(3, np.float32)},
        ),
        total=(Signature({"a": a}, {"total": scalar}), lambda inputs: {"total": inputs["a"].sum()}),
    )


def model(name: str, versions: Mapping[int, Functions], **labels: int) -> Model:
    found = Model(name, labels=dict(labels))
    for number, servable in versions.items():
        found.put(Version(number, servable))
    return found


@pytest.fixture(scope="session")
def small() -> Iterator[Running]:
    """A server of four small models."""
    models = [
        model("half", {123: half_plus(2)}, best=123),
        model("two", {1: half_plus(2), 2: half_plus(3)}, stable=1, canary=2),
        model("types", {1: identities()}),
        model("pairs", {1: pairs()}),
    ]
    with running(Server(Models({one.name: one for one in models}), settings())) as found:
        yield found


@pytest.fixture(scope="session")
def flowers(tiny_run: Any) -> Iterator[Running]:
    """A server of the tiny classifier, under the name `shapes`."""
    with running(Server.of_paths({"shapes": tiny_run}, settings())) as found:
        yield found
