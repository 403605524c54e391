"""How near `opsin serve` comes to its runtime without a server, and how other servers of the same model do.

In each round, one after the other on the same cores: decoding and the network alone in one process, then each server
under `wrk` (https://github.com/wg/wrk), which shares the cores. Then the latency at half of that throughput, requests
being sent at even intervals whatever the answers do, beside that of `Classifier.predict` on the same bytes.
"""

import base64
import contextlib
import http.client
import itertools
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.results import Figure, Result, Series, arguments, ratios
from opsin.classifier import Classifier

OPSIN, FASTAPI, LITSERVE = "opsin serve", "FastAPI and model.predict", "LitServe, the same runtime"
ADDRESSES = {OPSIN: "/v1/models/model:classify_image", FASTAPI: "/predict", LITSERVE: "/predict"}
RAW, JSON = "image/jpeg", "application/json"
HALF_A_SECOND = 0.5


class Served:
    """A server that runs."""

    def __init__(self, process: subprocess.Popen, port: int, seconds: float):
        self.process, self.port, self.seconds = process, port, seconds

    def peak_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) * 1024 / 1e6


@contextlib.contextmanager
def serving(name: str, run: Path, python: str, content: bytes) -> Iterator[Served]:
    """Start a server, and wait for its first answer."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    if name == OPSIN:
        call = "from opsin.cli.main import main; main()"
        rest = ["serve", str(run), "--name", "model", "--port", str(port), "--no-access-log"]
        command = [python, "-c", call, *rest]
    else:
        module = "benchmarks.serving_fastapi" if name == FASTAPI else "benchmarks.serving_litserve"
        command = [python, "-m", module, str(run), str(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        while not answers(port, name, content):
            if process.poll() is not None or time.perf_counter() - started > 120:
                sys.exit(f"Expected {name} to answer; it does not: {' '.join(command)}")
            time.sleep(0.01)
        yield Served(process, port, time.perf_counter() - started)
    finally:
        # LitServe's workers outlive it, and would compute beside what is measured next.
        left = descendants(process.pid)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def descendants(pid: int) -> list[int]:
    """Return the processes that one has started, those that these have started, and so on."""
    found = []
    for file in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, file.read_text().split()):
            found += [child, *descendants(child)]
    return found


def body_for(name: str, content: bytes) -> tuple[bytes, str]:
    """Return what a server is sent for a picture, and its type: LitServe takes no raw bytes."""
    if name != LITSERVE:
        return content, RAW
    return json.dumps({"image": base64.b64encode(content).decode()}).encode(), JSON


def answers(port: int, name: str, content: bytes) -> bool:
    body, kind = body_for(name, content)
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request("POST", ADDRESSES[name], body, {"Content-Type": kind})
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wrk(port: int, name: str, content: bytes, seconds: int, connections: int) -> float:
    """Return the requests a second that were answered with 200."""
    body, kind = body_for(name, content)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "body").write_bytes(body)
        script = Path(folder) / "post.lua"
        script.write_text(
            f'local f = io.open("{folder}/body", "rb"); wrk.body = f:read("*a"); f:close()\n'
            f'wrk.method = "POST"; wrk.headers["Content-Type"] = "{kind}"\n'
        )
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s", "-s", str(script)]
        address = f"http://127.0.0.1:{port}{ADDRESSES[name]}"
        done = subprocess.run([*command, address], capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in done or "Socket errors" in done:
        sys.exit(f"Expected answers without errors; wrk says:\n{done}")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done)[1])


def bare(classifier: Classifier, content: bytes, seconds: float) -> float:
    """Return pictures a second of decoding and network in this process, without a server."""
    predictions = classifier.predict_many(itertools.repeat(content), batch_size=1)
    next(predictions)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        next(predictions)
        count += 1
    rate = count / (time.perf_counter() - started)
    predictions.close()
    return rate


def paced(port: int, path: str, content: bytes, rate: float, seconds: float) -> list[float]:
    """Return the milliseconds of requests that are sent at even intervals, from when each was due."""
    due = [number / rate for number in range(int(rate * seconds))]
    found, numbers, lock = [0.0] * len(due), iter(range(len(due))), threading.Lock()
    started = time.perf_counter() + HALF_A_SECOND

    def send() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                return
            time.sleep(max(0.0, started + due[number] - time.perf_counter()))
            connection.request("POST", path, content, {"Content-Type": RAW})
            response = connection.getresponse()
            response.read()
            assert response.status == 200
            found[number] = 1000 * (time.perf_counter() - started - due[number])

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def milliseconds(classifier: Classifier, content: bytes, count: int) -> list[float]:
    found = []
    for _ in range(count):
        started = time.perf_counter()
        classifier.predict(content)
        found.append(1000 * (time.perf_counter() - started))
    return found


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder")
    parser.add_argument("--picture", type=Path, required=True, help="a JPEG file of about 60 kB")
    parser.add_argument("--seconds", type=int, default=10, help="of each measurement (default: 10)")
    parser.add_argument("--connections", type=int, default=8, help="that wrk keeps open (default: 8)")
    parser.add_argument("--rounds", type=int, default=3, help="(default: 3)")
    parser.add_argument("--fastapi", metavar="PYTHON", help="a Python with fastapi and Opsin's extra train")
    parser.add_argument("--litserve", metavar="PYTHON", help="a Python with litserve and Opsin")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        sys.exit("Expected wrk; it is not installed. Install it: apt install wrk")
    content = options.picture.read_bytes()
    pythons = {OPSIN: sys.executable, FASTAPI: options.fastapi, LITSERVE: options.litserve}
    pythons = {name: python for name, python in pythons.items() if python}
    classifier = Classifier.open(options.model)
    settings = {
        "architecture": classifier.card.provenance.get("architecture"),
        "input": list(classifier.preprocess.shape),
        "kilobytes": round(len(content) / 1e3, 1),
        "connections": options.connections,
        "rounds": options.rounds,
    }
    result = Result("serving", "python -m benchmarks.serving --model RUN --picture JPEG", settings)
    rates: dict[str, list[float]] = {"no server": [], **{name: [] for name in pythons}}
    starts: dict[str, list[float]] = {name: [] for name in pythons}
    peaks: dict[str, list[float]] = {name: [] for name in pythons}
    latencies, alone = [], []
    for _ in range(options.rounds):
        rates["no server"].append(bare(classifier, content, options.seconds))
        alone += milliseconds(classifier, content, 50)
        for name, python in pythons.items():
            with serving(name, options.model, python, content) as served:
                starts[name].append(served.seconds)
                rates[name].append(wrk(served.port, name, content, options.seconds, options.connections))
                if name == OPSIN:
                    rate = rates[name][-1] / 2
                    latencies += paced(served.port, ADDRESSES[name], content, rate, options.seconds)
                peaks[name].append(served.peak_mb())
    share = Series("opsin serve / no server", "", ratios(rates[OPSIN], rates["no server"]))
    late = Series("opsin serve at half its throughput, a request", "ms", latencies)
    result.series = [Series(f"{name}, throughput", "pictures/s", values) for name, values in rates.items()]
    result.series += [share, late, Series("Classifier.predict, a picture", "ms", alone)]
    for name in pythons:
        result.series.append(Series(f"{name}, start to first answer", "s", starts[name]))
        result.series.append(Series(f"{name}, peak resident memory of its main process", "MB", peaks[name]))
    result.figures.append(Figure("throughput: opsin serve / no server", share.median, at_least=0.85))
    p99 = statistics.quantiles(latencies, n=100)[98] / statistics.median(alone)
    result.figures.append(Figure("latency at half of it, 99 %: times that of Classifier.predict", p99, at_most=5))
    result.figures.append(Figure("start to first answer", statistics.median(starts[OPSIN]), "s", at_most=1.5))
    result.figures.append(Figure("peak resident memory", max(peaks[OPSIN]), "MB", at_most=300))
    for name in list(pythons)[1:]:
        times = statistics.median(ratios(rates[OPSIN], rates[name]))
        result.figures.append(Figure(f"throughput: opsin serve / {name}", times))
    result.publish(options.results)


if __name__ == "__main__":
    main()
