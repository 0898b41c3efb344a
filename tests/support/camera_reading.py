"""Reading on until something goes wrong, or is mended: frames that are on their way come first."""

from edge_app.devices.ports import Camera
from edge_app.errors import DeviceError


def read_until_error(camera: Camera, timeout_s: float = 5.0) -> DeviceError:
    for _ in range(200):
        try:
            camera.read(timeout_s)
        except DeviceError as error:
            return error
    raise AssertionError("the camera went on")


def read_until_it_mends(camera: Camera, timeout_s: float = 5.0) -> None:
    for _ in range(200):
        try:
            assert camera.read(timeout_s)
        except DeviceError:
            continue
        return
    raise AssertionError("the camera did not mend")
