"""The front door: the commands, and what becomes of errors."""

import errno
import faulthandler
import importlib
import io
import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType

import typer
from typer.core import TyperCommand, TyperGroup

from opsin import __version__
from opsin.errors import ExitCode, OpsinError

COMMANDS = (
    *("demo", "check", "train", "evaluate", "compare", "predict", "explain", "export", "verify", "benchmark"),
    *("serve", "embed", "similar", "archs", "summary"),
)
"""Modules beside this one, each with a function of its own name and EXAMPLES."""

GROUPS = ("segment", "detect")
"""Commands of commands: each module has COMMANDS, functions, and the EXAMPLES of each by its name."""

DEBUG = "--debug"

# What the system says of a path that was given wrong; anything else is the machine's or the data's.
_WRONG_PATH = {
    *(errno.ENOENT, errno.EACCES, errno.EPERM, errno.ENAMETOOLONG),
    *(errno.ENOTDIR, errno.EISDIR, errno.ELOOP),
}


class _Commands(TyperGroup):
    """The commands, where Ctrl-C and a reader that has enough end them without noise."""

    def invoke(self, ctx: typer.Context) -> object:
        # Further out, Typer makes exit codes of both and says nothing, or the wrong thing.
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print("Stopped.", file=sys.stderr)
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        except BrokenPipeError:
            raise typer.Exit(ExitCode.DONE) from None


class _Command(TyperCommand):
    """A command whose usage reads `opsin evaluate [OPTIONS] MODEL DATA`."""

    def collect_usage_pieces(self, ctx: typer.Context) -> list[str]:
        # Typer puts braces around what is required, and users would type them.
        return [piece.replace("{", "").replace("}", "") for piece in super().collect_usage_pieces(ctx)]


def _add(to: typer.Typer, function: Callable[..., None], examples: Sequence[str]) -> None:
    # Typer keeps line breaks of an epilog only where a line is empty.
    shown = "\n\n".join(("[bold]Examples[/]", *examples))
    to.command(function.__name__, cls=_Command, epilog=shown)(function)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"opsin {__version__}")
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
    # Stands here for the help: `main` takes it out of the arguments, wherever it is among them.
    debug: bool = typer.Option(False, DEBUG, help="Show Python's traceback of an error; goes with every command."),
) -> None:
    pass


def load(name: str) -> ModuleType:
    """Return the module of a command or of a group."""
    return importlib.import_module(f"opsin.cli.{name}")


def make_app(names: Sequence[str] = (*COMMANDS, *GROUPS)) -> typer.Typer:
    """Return the command line, of some commands and groups, or of all."""
    made = typer.Typer(
        cls=_Commands,
        help="From a folder of pictures to an image classifier that can be trusted and shipped.",
        epilog="Start with: opsin demo",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(_options)
    for name in names:
        module = load(name)
        if name in COMMANDS:
            _add(made, getattr(module, name), module.EXAMPLES)
            continue
        inner = typer.Typer(help=module.HELP, no_args_is_help=True, rich_markup_mode="rich")
        for function in module.COMMANDS:
            _add(inner, function, module.EXAMPLES[function.__name__])
        made.add_typer(inner, name=name)
    return made


def app(arguments: Sequence[str] | None = None, *, standalone_mode: bool = True) -> object:
    """Run the command line as a Typer app does, with nothing loaded but the command that is called.

    Args:
        arguments: what follows `opsin`; None for those of this process.
        standalone_mode: whether to end the process.
    """
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    called = arguments[0] if arguments else ""
    names = [called] if called in COMMANDS + GROUPS else COMMANDS + GROUPS
    return make_app(names)(arguments, prog_name="opsin", standalone_mode=standalone_mode)


def _take_debug(arguments: list[str]) -> tuple[bool, list[str]]:
    """Take `--debug` out of the arguments; what follows `--` are paths, whatever they look like."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options = [argument for argument in arguments[:end] if argument != DEBUG]
    return len(options) < end, options + arguments[end:]


def _open_closed_streams() -> None:
    """Put nothing in the place of streams that the command was started without (`2>&-`).

    Otherwise the next file that is opened would get their number, and native libraries would write into it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - open until the end


def _keep_bytes_of_names() -> None:
    """Let file names that are not valid UTF-8 come in and go out byte for byte."""
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="surrogateescape")


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


def _explain(error: OSError) -> tuple[str, ExitCode]:
    """Say in one line what the system refused, and the exit code that stands for it."""
    said = error.strerror or type(error).__name__
    if error.filename is None:
        return f"The system refused: {said}. Add {DEBUG} to see where.", ExitCode.UNUSABLE
    if error.errno in _WRONG_PATH:
        return f"Expected a path that can be used; received {error.filename!r}: {said}. Check it.", ExitCode.USAGE
    return f"Expected to be able to use {error.filename!r}; the system says: {said}.", ExitCode.UNUSABLE


def _run() -> None:
    try:
        app()
    finally:
        # Here, where what goes wrong can still be told; at its very end Python could only complain.
        sys.stdout.flush()


def main() -> None:
    """Run the command line."""
    debug, sys.argv[1:] = _take_debug(sys.argv[1:])
    _open_closed_streams()
    if not debug:
        _hush_native_libraries()
    _keep_bytes_of_names()
    try:
        _run()
    except BrokenPipeError:
        # Whoever reads has enough (`| head`). What is left goes nowhere, so that closing does not fail too.
        with open(os.devnull, "w") as nowhere:
            os.dup2(nowhere.fileno(), sys.stdout.fileno())
        sys.exit(ExitCode.DONE)
    except (OpsinError, OSError) as error:
        if debug:
            raise
        message, code = _explain(error) if isinstance(error, OSError) else (str(error), error.exit_code)
        print(f"Error: {message}", file=sys.stderr)
        sys.exit(code)
