"""The public names, for type checkers; `__init__.py` imports them when they are used."""

from edge_app.classifier import Classified as Classified
from edge_app.classifier import Classifier as Classifier
from edge_app.config import Config as Config
from edge_app.config import load_config as load_config
from edge_app.device import Device as Device
from edge_app.device import EventStream as EventStream
from edge_app.devices.ports import ButtonEdge as ButtonEdge
from edge_app.devices.ports import Buttons as Buttons
from edge_app.devices.ports import Camera as Camera
from edge_app.errors import DeviceError as DeviceError
from edge_app.errors import EdgeAppError as EdgeAppError
from edge_app.errors import InputError as InputError
from edge_app.errors import ModelMismatch as ModelMismatch
from edge_app.errors import ModelNotFound as ModelNotFound
from edge_app.errors import RuntimeMissing as RuntimeMissing
from edge_app.errors import StateBusy as StateBusy
from edge_app.errors import StateCorrupt as StateCorrupt
from edge_app.errors import StateNotWritable as StateNotWritable
from edge_app.errors import UnknownLabel as UnknownLabel
from edge_app.messages import Decision as Decision
from edge_app.messages import Frame as Frame
from edge_app.pipeline.coach import Advice as Advice
from edge_app.pipeline.coach import SimilarExample as SimilarExample
from edge_app.pipeline.events import Corrected as Corrected
from edge_app.pipeline.events import Decided as Decided
from edge_app.pipeline.events import Event as Event
from edge_app.pipeline.events import Health as Health
from edge_app.pipeline.events import Rejected as Rejected
from edge_app.pipeline.events import Taught as Taught
from edge_app.storage.records import Action as Action
from edge_app.storage.records import Example as Example

__version__: str
PUBLIC: dict[str, str]
