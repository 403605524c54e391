"""The front door: the commands, and what becomes of errors."""

import faulthandler
import os
import sys

import typer

from opsin import __version__
from opsin.cli import archs, demo, evaluate, predict, summary, train
from opsin.errors import OpsinError

# Each module has a function of its own name and EXAMPLES.
COMMANDS = (demo, train, evaluate, predict, archs, summary)

app = typer.Typer(
    help="From a folder of pictures to an image classifier that can be trusted and shipped.",
    epilog="Start with: opsin demo · Errors with Python's traceback: add --debug to any command",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in COMMANDS:
    name = command.__name__.rpartition(".")[2]
    # Typer keeps line breaks of an epilog only where a line is empty.
    app.command(name, epilog="\n\n".join(("[bold]Examples[/]", *command.EXAMPLES)))(getattr(command, name))


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"opsin {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    pass


def _hush_native_libraries() -> None:
    """Keep stderr for our own messages: TensorFlow and LiteRT greet there from C++, whatever they are told."""
    try:
        ours = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8")
    except OSError:
        return  # The command was started without a stderr.
    with open(os.devnull, "w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    sys.stderr = ours
    # A crash in native code must not go unseen.
    faulthandler.enable(ours)


def main() -> None:
    """Run the command line."""
    debug = "--debug" in sys.argv
    sys.argv = [argument for argument in sys.argv if argument != "--debug"]
    if not debug:
        _hush_native_libraries()
    # File names need not be valid UTF-8: their bytes go out as they came in.
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="surrogateescape")
    try:
        app()
    except OpsinError as error:
        if debug:
            raise
        print(f"Error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
