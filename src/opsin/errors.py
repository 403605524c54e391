"""What can go wrong, and the exit code each kind of error has on the command line."""

import enum


class ExitCode(enum.IntEnum):
    """Exit codes of every `opsin` command."""

    DONE = 0
    GATE_FAILED = 1
    """A gate that the user asked for did not hold (`--strict`, `--min`, parity)."""
    USAGE = 2
    """Wrong usage; a path that does not exist included."""
    UNUSABLE = 3
    """The data or the model cannot be used, or some of it could not."""
    MISSING_PACKAGE = 4
    """An optional package is not installed; the message carries the install line."""
    INTERRUPTED = 130
    """Stopped by Ctrl-C (the shell's own convention: 128 + SIGINT)."""


class OpsinError(Exception):
    """Base of all errors that a user can cause: what was expected, what came, what to do."""

    exit_code = ExitCode.UNUSABLE


class UsageError(OpsinError):
    """An option, a name or a path is not what the command takes."""

    exit_code = ExitCode.USAGE


class DataError(OpsinError):
    """The data set cannot be used as it is."""


class PictureError(DataError):
    """One picture cannot be read.

    Args:
        reason: why, in words that name neither the file nor a line of code.
        path: the picture's file, if it came from one.
    """

    def __init__(self, reason: str, path: str | None = None):
        super().__init__(f"{path!r}: {reason}" if path else reason)
        self.reason = reason
        self.path = path


class ModelError(OpsinError):
    """A model folder or a network cannot be used as it is."""


class GateError(OpsinError):
    """Something that the user asked for as a condition does not hold."""

    exit_code = ExitCode.GATE_FAILED


class ParityError(ModelError):
    """An export does not give the answers of the model that it comes from."""

    exit_code = ExitCode.GATE_FAILED


class TrainingError(OpsinError):
    """Training cannot go on (the loss is no longer a number, say)."""


class SavingError(OpsinError):
    """A file could not be written: no room, no permission."""


class ClusterError(OpsinError):
    """The computers that work is shared among cannot be reached, or do not do it."""


class MissingPackageError(OpsinError):
    """An optional package is needed and not installed."""

    exit_code = ExitCode.MISSING_PACKAGE
