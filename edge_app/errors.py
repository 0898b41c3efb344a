"""Errors raised by edge-app.

Every message names the thing, its value, what was expected, and the remedy. Each class has a second base class from the
standard library, so that callers can catch the built-in exception that they expect, and the exit status of the command
line (`edge-app --help` lists them).
"""


class EdgeAppError(Exception):
    """Base of all errors below."""

    exit_status = 1


class InputError(EdgeAppError, ValueError):
    """An argument, a file or another value from outside is invalid."""

    exit_status = 2


class ParameterError(InputError):
    """A parameter of the classifier is out of its range or does not fit its integer format."""


class UnknownLabel(EdgeAppError, KeyError):
    """No class of this name."""

    exit_status = 2

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError shows the repr of the message


class ModelNotFound(EdgeAppError, FileNotFoundError):
    """No encoder model or manifest of this name."""

    exit_status = 3


class ModelMismatch(EdgeAppError, ValueError):
    """A model or a state does not match the manifest or the encoder in use."""

    exit_status = 3


class RuntimeMissing(EdgeAppError, ImportError):
    """A required library is not installed; the message has the command that installs it."""

    exit_status = 4


class StateCorrupt(EdgeAppError, ValueError):
    """The stored state fails its checksum or format check; nothing was changed."""

    exit_status = 5


class StateBusy(EdgeAppError, BlockingIOError):
    """Another process holds the state folder."""

    exit_status = 6


class StateNotWritable(EdgeAppError, OSError):
    """The state folder cannot be written: full, read-only or not permitted; nothing was changed."""

    exit_status = 7


class DeviceError(EdgeAppError, OSError):
    """A camera, a button line or an indicator cannot be opened, or has stopped working."""

    exit_status = 8
