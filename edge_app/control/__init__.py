"""The interface between the live device and its clients: web page, API and MQTT."""

from edge_app.control.class_reports import ClassReport
from edge_app.control.control import Control, DecidedPicture, StrictnessReport
from edge_app.control.errors import (
    Busy,
    DamagedGroup,
    FrameGone,
    HistoryOff,
    RequestReused,
    UnknownCamera,
    UnreadablePicture,
    UploadGone,
    VisitGone,
)
from edge_app.control.history import DeviceHistory
from edge_app.control.hub import EventsOf, Hub
from edge_app.control.pictures import JpegFrame
from edge_app.control.places import Places, PlacesReport
from edge_app.control.status import Condition, DeviceStatus
from edge_app.control.transfer import Restored
from edge_app.control.uploads import ReceivedFile, TaughtUpload, Upload, UploadPlan
from edge_app.history.records import LabelCount
from edge_app.history.tally import LabelTally
from edge_app.learner.heat_map import HeatMap
from edge_app.pipeline.coach import Advice, SimilarExample
from edge_app.pipeline.events import Corrected, Decided, Event, Health, Rejected, Taught
from edge_app.rules.service import Rules

__all__ = [
    "Advice",
    "Busy",
    "ClassReport",
    "Condition",
    "Control",
    "Corrected",
    "DamagedGroup",
    "Decided",
    "DecidedPicture",
    "DeviceHistory",
    "DeviceStatus",
    "Event",
    "EventsOf",
    "FrameGone",
    "Health",
    "HeatMap",
    "HistoryOff",
    "Hub",
    "JpegFrame",
    "LabelCount",
    "LabelTally",
    "Places",
    "PlacesReport",
    "ReceivedFile",
    "Rejected",
    "RequestReused",
    "Restored",
    "Rules",
    "SimilarExample",
    "StrictnessReport",
    "Taught",
    "TaughtUpload",
    "UnknownCamera",
    "UnreadablePicture",
    "Upload",
    "UploadGone",
    "UploadPlan",
    "VisitGone",
]
