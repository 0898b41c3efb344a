"""Objects cut out of the photographs in scikit-image's wheel along stored outlines; nothing is downloaded.

`outlines.json` holds, per object, its views: picture, the picture's width and height, the outline in pixels, and what
the view is for: "teach", "test" or "both". The coins shown in tests are not those that are taught.
"""

import json
from importlib import resources, util
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import DeviceError, RuntimeMissing

Use = Literal["teach", "test"]

MAX_SIDE = 420
"""Longer side of a cut-out, pixels: no view shows it larger."""

BACKGROUNDS: dict[Use, tuple[str, ...]] = {
    "teach": ("brick.png", "grass.png", "ihc.png", "rocket.jpg"),
    "test": ("gravel.png", "hubble_deep_field.jpg", "text.png", "retina.jpg", "coffee.png"),
}
"""Backgrounds: those of tests are never used for teaching."""

CROPS = {
    "coffee.png": (slice(0, 150), slice(430, 600)),  # the table alone
    "rocket.jpg": (slice(0, 427), slice(0, 290)),  # sky, tower and lights, no rocket
}
"""Rows and columns of pictures of which only a part can be a background."""


class Cutout(NamedTuple):
    """One view of an object."""

    image: NDArray[np.uint8]
    """(height, width, 3) RGB, multiplied by the mask: black where the object is not."""
    mask: NDArray[np.uint8]
    """(height, width): 255 where the object is, 0 where it is not, in between at its edge."""
    use: Literal["teach", "test", "both"]


class Photographs(NamedTuple):
    """Objects and backgrounds of a scene."""

    objects: dict[str, tuple[Cutout, ...]]
    """Views by the object's name."""
    backgrounds: dict[Use, tuple[NDArray[np.uint8], ...]]
    """(height, width, 3) RGB each."""

    def views(self, name: str, use: Use) -> list[int]:
        """Return the indices of an object's views for this use."""
        return [index for index, view in enumerate(self.objects[name]) if view.use in (use, "both")]


def load_photographs() -> Photographs:
    """Read and cut out all objects and backgrounds; takes about 0.2 s.

    Raises RuntimeMissing when scikit-image is not installed, DeviceError when a picture is missing or has another
    size than the one that was outlined.
    """
    folder = picture_folder()
    outlines = json.loads(resources.files("edge_app.simulation").joinpath("outlines.json").read_text(encoding="ascii"))
    pictures: dict[str, NDArray[np.uint8]] = {}
    for name in {view["picture"] for views in outlines.values() for view in views} | {
        name for names in BACKGROUNDS.values() for name in names
    }:
        pictures[name] = _read(folder / name)
    objects = {
        name: tuple(_cut_out(pictures[view["picture"]], view) for view in views) for name, views in outlines.items()
    }
    backgrounds = {
        use: tuple(_background(pictures[name][CROPS[name]] if name in CROPS else pictures[name]) for name in names)
        for use, names in BACKGROUNDS.items()
    }
    return Photographs(objects, backgrounds)


def picture_folder() -> Path:
    """Return scikit-image's data folder; raises RuntimeMissing when the package is not installed."""
    found = util.find_spec("skimage")  # located, not imported: only its pictures are needed
    if found is None or not found.submodule_search_locations:
        raise RuntimeMissing(
            "the simulated camera's photographs come with scikit-image, which is not installed: "
            'pip install "edge-app[demo]" (or use sim:scene=shapes, which needs none)'
        )
    return Path(found.submodule_search_locations[0]) / "data"


def _read(path: Path) -> NDArray[np.uint8]:
    from PIL import Image  # OpenCV would print libpng's complaints about a colour profile

    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise DeviceError(
            f"{path}: missing or not a picture; reinstall it: pip install --force-reinstall scikit-image"
        ) from error


def _cut_out(picture: NDArray[np.uint8], view: dict[str, Any]) -> Cutout:
    import cv2

    height, width = picture.shape[:2]
    # another release may bring the picture in another size, and the outline would cut out something else
    if [width, height] != view["size"]:
        raise DeviceError(
            f"scikit-image's {view['picture']} has {width} x {height} pixels, its outline was drawn for "
            f"{view['size'][0]} x {view['size'][1]}: install another release: pip install 'scikit-image>=0.24,<0.27'"
        )
    outline = np.array(view["outline"], np.int32)
    mask = np.zeros((height, width), np.uint8)
    cv2.fillPoly(mask, [outline], 255)
    mask = cv2.erode(mask, np.ones((3, 3), np.uint8))  # removes the rim of the old background
    x, y, w, h = cv2.boundingRect(outline)
    image, mask = picture[y : y + h, x : x + w], cv2.blur(mask, (3, 3))[y : y + h, x : x + w]
    scale = MAX_SIDE / max(w, h)
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    size = (round(w * scale), round(h * scale))
    image, mask = (cv2.resize(part, size, interpolation=interpolation) for part in (image, mask))
    return Cutout(premultiplied(image, mask), mask, view["use"])


def premultiplied(image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return image (H, W, 3) times mask (H, W) / 255, rounded: can be resampled without a fringe at the edge."""
    product: NDArray[np.uint8] = ((image.astype(np.uint16) * mask[:, :, None] + 127) // 255).astype(np.uint8)
    return product


def _background(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scale to a common size and blur slightly, like a background out of focus."""
    import cv2

    scale = 600 / min(picture.shape[:2])
    interpolation = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    scaled = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=interpolation)
    blurred: NDArray[np.uint8] = cv2.GaussianBlur(scaled, (0, 0), 1.5)
    return blurred
