"""What can go wrong between the device and someone outside, besides what the learner itself refuses."""

from edge_app.errors import EdgeAppError, InputError


class Busy(EdgeAppError, TimeoutError):
    """Too much waits to be carried out, or the program is stopping; trying again later is right."""


class FrameGone(InputError):
    """A frame was named that is not kept any more, or there is none."""


class RequestReused(InputError):
    """The name of a request came again with another wish in it."""


class NotInTray(InputError):
    """An uncertain decision that is no longer in the tray, or never was."""
