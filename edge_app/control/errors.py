"""Errors of the control layer, besides those that the learner raises."""

from edge_app.errors import EdgeAppError, InputError


class Busy(EdgeAppError, TimeoutError):
    """Too many commands wait, or the program is stopping; try again later."""


class FrameGone(InputError):
    """The named frame is no longer kept, or there is no frame."""


class UnknownCamera(InputError):
    """No place uses a camera of that name."""


class HistoryOff(InputError):
    """The device keeps no history."""


class VisitGone(InputError):
    """The named visit was deleted, has no picture, or is no longer in the tray."""


class UnreadablePicture(InputError):
    """The data that a client sent are not a picture that can be read."""


class UploadGone(InputError):
    """The named upload was taught, closed, or left alone for too long."""


class DamagedGroup(InputError):
    """A group that no place can use, because its stored state cannot be read."""


class RequestReused(InputError):
    """The key of a request came again with a different request."""
