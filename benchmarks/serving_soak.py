"""Mixed load for as long as you like: good, bad, huge and slow requests, clients that go, version swaps, one restart.

Every answer is compared with what `Classifier.predict` says of the same bytes by the version that answered. It ends
with 1 if one was wrong, lost or doubled, or if memory grew.
"""

import argparse
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

from opsin.classifier import Classifier
from opsin.model_folder import ModelCard, find_model_folder

ADDRESS = "/v1/models/soak:classify_image"
GROWTH = 1.25


class Story:
    """A server under load, and what has become of each request."""

    def __init__(self, model: Path, pictures: list[bytes], folder: Path):
        self.pictures, self.folder = pictures, folder
        self.source = find_model_folder(model)
        self.expected: dict[int, list[float]] = {}
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.stopped, self.down = threading.Event(), threading.Event()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]

    def add_version(self, number: int) -> None:
        """Put a version that is a little less sure into the folder; first what it says, as nobody asks it before."""
        hidden = self.folder / f".{number}"
        shutil.copytree(self.source, hidden)
        replace(ModelCard.read(hidden), temperature=1 + number / 10).save(hidden)
        classifier = Classifier.open(hidden)
        self.expected[number] = [classifier.predict(content).probability for content in self.pictures]
        hidden.rename(self.folder / str(number))
        for old in self.folder.glob("[0-9]*"):
            if int(old.name) < number - 2:
                shutil.rmtree(old)

    def start(self) -> None:
        call = "from opsin.cli.main import main; main()"
        options = ["--name", "soak", "--port", str(self.port), "--no-access-log"]
        self.process = subprocess.Popen(
            [sys.executable, "-c", call, "serve", str(self.folder), *options],
            env={**os.environ, "OPSIN_SERVE_READ_TIMEOUT": "2"},
        )
        until = time.monotonic() + 60
        while self.status() != 200:
            assert time.monotonic() < until, "it does not start"
            time.sleep(0.05)

    def status(self) -> int | None:
        try:
            return self.ask("GET", "/readyz")[0]
        except OSError:
            return None

    def restart(self) -> None:
        self.down.set()
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(60) != 0:
            self.wrong.append(f"SIGTERM ended it with {self.process.returncode}")
        self.start()
        self.down.clear()

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "image/jpeg") -> tuple[int, dict]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Content-Type": kind})
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def client(self, seed: int) -> None:
        """Ask on, in one of the ways."""
        chance = random.Random(seed)
        ways = [self.good] * 12 + [self.bad, self.huge, self.slow, self.gone, self.nonsense]
        while not self.stopped.is_set():
            way = chance.choice(ways)
            try:
                way(chance)
                self.counts[way.__name__] += 1
            except (OSError, http.client.HTTPException) as error:
                # While it restarts nobody is there; a connection that was accepted must be answered all the same.
                if self.down.is_set() or self.stopped.is_set():
                    self.counts["nobody there"] += 1
                    time.sleep(0.05)
                else:
                    self.wrong.append(f"{way.__name__}: {error!r}")

    def good(self, chance: random.Random) -> None:
        number = chance.randrange(len(self.pictures))
        status, found = self.ask("POST", ADDRESS, self.pictures[number])
        if status in (429, 503):
            self.counts[str(status)] += 1
            time.sleep(0.05)
        elif status != 200 or len(found["predictions"]) != 1:
            self.wrong.append(f"{status}: {found}")
        elif found["predictions"][0]["probability"] != self.expected[found["version"]][number]:
            self.wrong.append(f"picture {number}, version {found['version']}: {found['predictions'][0]}")

    def bad(self, chance: random.Random) -> None:
        content = bytearray(chance.choice(self.pictures))
        self.refused(self.ask("POST", ADDRESS, bytes(content[: chance.randrange(200)])), 400)

    def huge(self, chance: random.Random) -> None:
        self.refused(self.ask("POST", ADDRESS, b"P6 90000 90000 255 "), 400)

    def nonsense(self, chance: random.Random) -> None:
        body = chance.choice([b"[" * 500_000, b'{"instances": [{"b64": "!"}]}', b"\xff", b"", b'{"instances": [1]}'])
        self.refused(self.ask("POST", "/v1/models/soak:predict", body, "application/json"), 400)

    def slow(self, chance: random.Random) -> None:
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall(f"POST {ADDRESS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\nx".encode())
            received = connection.recv(65536)
        if received and b" 408 " not in received and b" 503 " not in received:
            self.wrong.append(f"slow: {received[:100]!r}")

    def gone(self, chance: random.Random) -> None:
        content = chance.choice(self.pictures)
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            head = f"POST {ADDRESS} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/jpeg\r\n"
            connection.sendall(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content)

    def refused(self, reply: tuple[int, dict], status: int) -> None:
        if reply[0] not in (status, 429, 503) or "error" not in reply[1]:
            self.wrong.append(f"expected {status}: {reply}")


def main() -> None:
    """Parse, load, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a run folder")
    parser.add_argument("--pictures", type=Path, required=True, help="a folder with JPEG files, at any depth")
    parser.add_argument("--seconds", type=int, default=60, help="how long (default: 60; 1800 is half an hour)")
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--swap", type=int, default=15, help="seconds between two versions (default: 15)")
    options = parser.parse_args()
    files = sorted(options.pictures.rglob("*.jpg"))[:20]
    with tempfile.TemporaryDirectory() as place:
        story = Story(options.model, [path.read_bytes() for path in files], Path(place))
        story.add_version(1)
        story.start()
        clients = [threading.Thread(target=story.client, args=(seed,)) for seed in range(options.clients)]
        for client in clients:
            client.start()
        started, version, restarted, memory = time.monotonic(), 1, False, []
        while (passed := time.monotonic() - started) < options.seconds:
            time.sleep(1)
            memory.append(story.resident_mb())
            if passed > version * options.swap:
                version += 1
                story.add_version(version)
            if not restarted and passed > options.seconds / 2:
                restarted = True
                story.restart()
                memory.clear()
        story.stopped.set()
        for client in clients:
            client.join()
        story.process.send_signal(signal.SIGTERM)
        story.process.wait(60)
    settled = memory[len(memory) // 3 :]
    print(dict(story.counts), f"{version} versions")
    print(f"memory after the restart: {settled[0]:.0f} to {settled[-1]:.0f} MB, at most {max(memory):.0f}")
    for line in story.wrong[:20]:
        print("WRONG:", line)
    if story.wrong or settled[-1] > GROWTH * settled[0]:
        sys.exit(1)


if __name__ == "__main__":
    main()
