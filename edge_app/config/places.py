"""[[cameras]] and [[places]]: the parts of the cameras' pictures that are decided on, each by itself."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

from edge_app.checks import FLAG, number, one_of
from edge_app.config.section import NamedSection, declared
from edge_app.config.sections import MAIN, CameraSettings
from edge_app.config.values import OPTIONAL_NAME, REGION, SECTION_NAME

MOST_PLACES = 64
MAIN_GROUP = "default"
"""Name of the group whose state lies in the state folder itself."""


class PlaceInUse(NamedTuple):
    """A place of the device; the defaults are those of the only one."""

    name: str
    camera: str = MAIN
    group: str = MAIN_GROUP
    region: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    rotation: int = 0
    mirror: bool = False
    max_fps: float = 0.0


def topic_part(place: str) -> str:
    """Return the part of MQTT topics that stands for one of several places."""
    # letters that ids of Home Assistant may not have are left out; the digest keeps two such names apart
    plain = unicodedata.normalize("NFKD", place).encode("ascii", "ignore").decode().lower()
    part = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")
    digest = hashlib.sha256(place.encode()).hexdigest()[:6]
    return (part or "place") + ("" if part == place else f"-{digest}")


@dataclass(frozen=True, slots=True)
class NamedCameraConfig(NamedSection, CameraSettings):
    """[[cameras]]: further cameras, one table for each, with the keys of [camera] and a name."""

    name: str = declared(
        "", SECTION_NAME, 'Name of the camera, by which places refer to it; "camera" is that of [camera].'
    )

    @classmethod
    def kind(cls) -> str:
        """Return the word for one of them in messages."""
        return "camera"


@dataclass(frozen=True, slots=True)
class PlaceConfig(NamedSection):
    """[[places]]: parts of the cameras' pictures, each with a decision of its own; one table for each, 64 at most."""

    name: str = declared("", SECTION_NAME, "Name of the place; each has another.")
    camera: str = declared("", OPTIONAL_NAME, 'Name of one of [[cameras]]; "": that of [camera].')
    region: tuple[float, float, float, float] = declared(
        (0.0, 0.0, 1.0, 1.0),
        REGION,
        "The part of the camera's picture that the place is, as fractions of its width and height: x, y, width, "
        "height. It is cut out at the camera's full resolution; the encoder takes its centre square.",
    )
    rotation: int = declared(0, one_of(0, 90, 180, 270, unit="degrees"), "Rotate that part clockwise.")
    mirror: bool = declared(False, FLAG, "Swap left and right, after rotation.")
    group: str = declared(
        "",
        OPTIONAL_NAME,
        "Places with the same group share what they learn: four equal trays are taught once. "
        '"": a group of its own, with the name of the place.',
    )
    max_fps: float = declared(
        0.0, number(0.01, 1000, "fps", zero="as [decision]"), "Decisions per second in this place at most."
    )

    @property
    def in_use(self) -> PlaceInUse:
        """The place with the names that "" stands for."""
        return PlaceInUse(
            self.name,
            self.camera or MAIN,
            self.group or self.name,
            self.region,
            self.rotation,
            self.mirror,
            self.max_fps,
        )
