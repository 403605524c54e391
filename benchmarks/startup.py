"""How long a user waits for `opsin --help` and for one prediction, beside the shortest Keras script.

Each round starts every command once, one after the other. The first round is thrown away: it reads files that later
ones find in the page cache.
"""

import json
import sys
from pathlib import Path

from benchmarks.processes import Finished, opsin_command, run
from benchmarks.results import Figure, Result, Series, arguments

# What a Keras user writes; the network scales its input itself, as every network of Opsin's does.
KERAS_SCRIPT = """
import sys
import keras
model = keras.models.load_model(sys.argv[1], compile=False)
height, width, channels = model.input_shape[1:]
mode = "grayscale" if channels == 1 else "rgb"
picture = keras.utils.load_img(sys.argv[2], color_mode=mode, target_size=(height, width))
print(model.predict(keras.utils.img_to_array(picture)[None], verbose=0).argmax())
"""
HEAVY = ("tensorflow", "keras", "torch", "jax")


def measure(commands: dict[str, list[str]], rounds: dict[str, int]) -> dict[str, list[Finished]]:
    """Run the commands in turn, each as often as `rounds` says after a first time that does not count."""
    runs: dict[str, list[Finished]] = {name: [] for name in commands}
    for number in range(1 + max(rounds.values())):
        for name, command in commands.items():
            if number <= rounds[name]:
                finished = run(command).require()
                if number:
                    runs[name].append(finished)
    return runs


def heavy_imports(command: list[str]) -> list[str]:
    """Return which of the heavy packages a Python command imports."""
    # Without --debug, opsin closes the stderr on which Python lists the imports.
    said = run([sys.executable, "-X", "importtime", *command, "--debug"]).require().output
    imported = {line.rpartition("|")[2].strip().partition(".")[0] for line in said.splitlines() if "|" in line}
    return sorted(imported.intersection(HEAVY))


def main() -> None:
    """Parse, measure, publish."""
    parser = arguments(__doc__)
    parser.add_argument("--model", type=Path, required=True, help="a run folder or model folder")
    parser.add_argument("--picture", type=Path, required=True, help="a picture to predict")
    parser.add_argument("--rounds", type=int, default=10, help="starts of each opsin command (default: 10)")
    parser.add_argument("--keras-rounds", type=int, default=3, help="starts of the Keras script (default: 3)")
    options = parser.parse_args()
    model = options.model / "model" if (options.model / "model").is_dir() else options.model
    card = json.loads((model / "opsin.json").read_text())
    settings = {
        "architecture": card["provenance"].get("architecture"),
        "input": [card["preprocess"][side] for side in ("height", "width")],
        "rounds": options.rounds,
        "keras_rounds": options.keras_rounds,
    }
    result = Result("startup", "python -m benchmarks.startup --model RUN --picture FILE", settings)
    predict = opsin_command("predict", options.model, options.picture)
    commands = {
        "opsin --help": opsin_command("--help"),
        "opsin predict, one picture": predict,
        "Keras script, one picture": [
            sys.executable,
            "-c",
            KERAS_SCRIPT,
            str(model / "model.keras"),
            str(options.picture),
        ],
    }
    shown, ours, theirs = commands
    rounds = {shown: options.rounds, ours: options.rounds, theirs: options.keras_rounds}
    runs = measure(commands, rounds)
    times = {name: Series(name, "s", [one.seconds for one in runs[name]]) for name in commands}
    memory = {
        name: Series(f"{name}: peak memory", "MB", [one.peak_mb for one in runs[name]]) for name in (ours, theirs)
    }
    heavy = heavy_imports(predict)
    result.settings["heavy_packages_imported_by_predict"] = heavy
    result.series += [*times.values(), *memory.values()]
    result.figures += [
        Figure("opsin --help", times[shown].median, "s", at_most=0.3),
        Figure("opsin predict, process start to answer", times[ours].median, "s", at_most=0.6),
        Figure("opsin predict, peak memory", memory[ours].median, "MB", at_most=200),
        Figure("opsin predict, heavy packages imported", len(heavy), at_most=0),
        Figure("time, Keras script / opsin predict", times[theirs].median / times[ours].median, at_least=15),
        Figure("memory, Keras script / opsin predict", memory[theirs].median / memory[ours].median),
    ]
    result.publish(options.results)


if __name__ == "__main__":
    main()
