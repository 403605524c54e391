"""`opsin demo`: the whole journey on real handwritten digits."""

import shlex
from pathlib import Path

import typer

EXAMPLES = ("opsin demo", "opsin demo --out digits-demo")

# Digits are small, grey, and not to be mirrored.
TRAINING = (
    "--arch",
    "digit_cnn",
    "--augment",
    "characters",
    "--epochs",
    "20",
    "--batch-size",
    "32",
    "--learning-rate",
    "0.002",
)
PREDICTED = 5


def demo(
    out: Path = typer.Option(Path("opsin-demo"), help="Where the pictures and the run go; must be new or empty."),
    seed: int = typer.Option(0, help="Decides the split and the network's first weights."),
) -> None:
    """Train, evaluate and predict on 1,797 handwritten digits that come with scikit-learn: nothing is downloaded."""
    from opsin.catalog import require_installed
    from opsin.cli.program import program
    from opsin.data.dataset import ImageDataset
    from opsin.data.digits import write_digits
    from opsin.training.run_folder import require_free

    require_installed(["keras", "sklearn"], "the demo")
    require_free(out)
    digits, run = out / "digits", out / "run"
    print(f"Writing scikit-learn's handwritten digits to {digits}")
    write_digits(digits)
    _run("train", str(digits), "--out", str(run), "--seed", str(seed), *TRAINING)
    _run("evaluate", str(run), str(digits))
    held_out = ImageDataset.from_folder(digits).split(seed=seed).test
    _run("predict", str(run), *held_out.paths[:: len(held_out) // PREDICTED][:PREDICTED])
    call = program()
    print(
        f"""
What to try next
  the report:               {run / "report.html"}
  the network:              {call} summary {run}
  what augmentation does:   {call} train {digits} --augment characters --preview-augment {out / "augmented.png"}
  your own pictures:        {call} train FOLDER     (FOLDER/<class>/<picture>)
  other networks:           {call} archs"""
    )


def _run(*arguments: str) -> None:
    """Run a command as the user would, in this process."""
    from opsin.cli.main import app

    print(f"\n$ opsin {shlex.join(arguments)}", flush=True)
    code = app(list(arguments), standalone_mode=False)
    if code:
        raise typer.Exit(code)
