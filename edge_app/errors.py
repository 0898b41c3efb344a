"""The errors that edge-app raises on purpose.

Every message names the thing, its value, what was expected, and the way out. Each class has a standard-library second
base, so that callers who know nothing of edge-app can still catch what they expect, and an exit status of the command
line (`edge-app --help` lists them).
"""


class EdgeAppError(Exception):
    """Something that edge-app can explain went wrong; the base of all errors below."""

    exit_status = 1


class InputError(EdgeAppError, ValueError):
    """An argument, a file or a value from outside is not what was expected."""

    exit_status = 2


class ParameterError(InputError):
    """A parameter of the classifier is out of its range or does not fit its integer format."""


class UnknownLabel(EdgeAppError, KeyError):
    """A class was named that the network does not have."""

    exit_status = 2

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""  # KeyError would show the message's repr


class ModelNotFound(EdgeAppError, FileNotFoundError):
    """No encoder model or manifest of that name."""

    exit_status = 3


class ModelMismatch(EdgeAppError, ValueError):
    """A model, or what was learnt with one, does not belong to the manifest or the encoder in use."""

    exit_status = 3


class RuntimeMissing(EdgeAppError, ImportError):
    """A library that this action needs is not installed; the message gives the command that installs it."""

    exit_status = 4


class StateCorrupt(EdgeAppError, ValueError):
    """Stored state fails its checksum or its format check; nothing was changed."""

    exit_status = 5


class StateBusy(EdgeAppError, BlockingIOError):
    """Another process holds the state folder."""

    exit_status = 6


class StateNotWritable(EdgeAppError, OSError):
    """The state folder cannot be written: full, read-only or not permitted; nothing was changed."""

    exit_status = 7


class DeviceError(EdgeAppError, OSError):
    """A camera, a button line or an indicator cannot be opened or has stopped working."""

    exit_status = 8
