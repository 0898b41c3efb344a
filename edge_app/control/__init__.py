"""The seam between the live device and whoever speaks to it from outside: a page, an API, a message bus."""

from edge_app.control.class_reports import ClassReport
from edge_app.control.control import Control
from edge_app.control.errors import Busy, FrameGone, NotInTray, RequestReused
from edge_app.control.events import Answered, Corrected, Event, Health, Hub, Refused, Subscription, Taught
from edge_app.control.pictures import JpegFrame
from edge_app.control.status import Condition, DeviceStatus
from edge_app.control.tray import UncertainDecision

__all__ = [
    "Answered",
    "Busy",
    "ClassReport",
    "Condition",
    "Control",
    "Corrected",
    "DeviceStatus",
    "Event",
    "FrameGone",
    "Health",
    "Hub",
    "JpegFrame",
    "NotInTray",
    "Refused",
    "RequestReused",
    "Subscription",
    "Taught",
    "UncertainDecision",
]
