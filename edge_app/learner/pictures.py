"""A picture to its embedding, and to a thumbnail from which another encoder can learn it."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

Picture = str | Path | bytes | NDArray[np.uint8]
"""A picture file's path or content, or RGB values, (height, width, 3) uint8."""
THUMBNAIL_QUALITY = 90
MAX_BYTES_PER_PIXEL = 1
"""Of a thumbnail that is stored as it came; those of this device take about a third."""


class EncodedPicture(NamedTuple):
    """A picture, ready to be taught."""

    embedding: NDArray[np.uint8]
    """(n,)"""
    thumbnail: bytes
    """JPEG of the encoder's input."""
    image: NDArray[np.uint8]
    """The encoder's input, (side, side, 3)."""


class PreparedPicture(NamedTuple):
    """A picture as it will be stored, not encoded yet."""

    image: NDArray[np.uint8]
    """The encoder's input, (side, side, 3)."""
    thumbnail: bytes


def prepare_picture(picture: Picture, preprocess: Callable[[NDArray[np.uint8]], NDArray[np.uint8]]) -> PreparedPicture:
    """Make the encoder's input of a picture. Raises InputError."""
    # a Preprocessor reuses its buffer for the next picture
    image = preprocess(read_picture(picture)).copy()
    return PreparedPicture(image, thumbnail_of(image))


def read_picture(picture: Picture) -> NDArray[np.uint8]:
    """Return a picture as RGB, (height, width, 3) uint8. Raises InputError, naming its file, when it cannot be read."""
    from edge_app.datasets.pictures import decode_image

    if isinstance(picture, bytes):
        return decode_image(picture)
    if isinstance(picture, str | Path):
        path = Path(picture)
        if path.is_dir():
            raise InputError(f"{path} is a folder: name the image files in it ({path}/*.jpg)")
        return decode_image(path)
    if not isinstance(picture, np.ndarray):
        raise InputError(f"picture is {type(picture).__name__}, expected a path, a file's bytes or an array")
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or min(picture.shape) < 1:
        raise InputError(f"picture is {picture.dtype} {picture.shape}, expected uint8 (height, width, 3), RGB")
    return np.ascontiguousarray(picture)


def thumbnail_of(image: NDArray[np.uint8], quality: int = THUMBNAIL_QUALITY) -> bytes:
    """Return a model input, (side, side, 3) uint8 RGB, as JPEG."""
    from PIL import Image

    stream = io.BytesIO()
    # red beside blue would become purple, and dreams are made of thumbnails; -1: the usual 4:2:0
    sampling = 0 if is_two_coloured(image) else -1
    Image.fromarray(image).save(stream, "JPEG", quality=quality, subsampling=sampling)
    return stream.getvalue()


def is_two_coloured(image: NDArray[np.uint8]) -> bool:
    """Return whether a picture, (height, width, 3) uint8 RGB, shows events in red and blue: it has no green at all."""
    return bool(image.any() and not image[:, :, 1].any())


def as_thumbnail(jpeg: bytes, side: int) -> bytes:
    """Return a thumbnail from outside as one of this device: as it is if it has the size, else enlarged or reduced.

    `side` is that of the encoder's input, pixels. Raises InputError when it is not a whole JPEG.
    """
    from edge_app.datasets.pictures import decode_thumbnail
    from edge_app.encoder.preprocess import Preprocessor

    image = decode_thumbnail(jpeg)
    # compressing again would lose quality; but a JPEG may carry megabytes of metadata
    if image.shape == (side, side, 3) and len(jpeg) <= MAX_BYTES_PER_PIXEL * side * side:
        return jpeg
    return thumbnail_of(Preprocessor(side)(image))


def exported_picture(jpeg: bytes, side: int) -> PreparedPicture:
    """Return a picture that edge-app exported, an encoder's input already, for an encoder of `side` pixels.

    Raises InputError.
    """
    from edge_app.datasets.pictures import decode_thumbnail

    thumbnail = as_thumbnail(jpeg, side)
    # decoded from the thumbnail that is stored, so that embedding and thumbnail belong together
    return PreparedPicture(decode_thumbnail(thumbnail), thumbnail)


class PictureEncoder(Closing):
    """Turns image files and thumbnails into embeddings with one encoder model; a context manager, for one thread."""

    def __init__(self, manifest: "ModelManifest", *, threads: int = 1) -> None:
        """Load the model. Raises RuntimeMissing, ModelNotFound, ModelMismatch."""
        from edge_app.encoder.preprocess import Preprocessor
        from edge_app.encoder.tflite import TFLiteEncoder

        self._preprocess = Preprocessor(manifest.input_size, crop=manifest.crop)
        # without crop: a thumbnail was cropped when it was made
        self._resize = Preprocessor(manifest.input_size)
        self._encoder = TFLiteEncoder(manifest, threads=threads)

    def read(self, picture: Picture) -> EncodedPicture:
        """Return a picture, encoded. Raises InputError, naming its file, when it cannot be read."""
        prepared = prepare_picture(picture, self._preprocess)
        return EncodedPicture(self._encoder.encode(prepared.image), prepared.thumbnail, prepared.image)

    def encode_thumbnail(self, jpeg: bytes) -> NDArray[np.uint8]:
        """Return the embedding, (n,) uint8, of a thumbnail of any size. Raises InputError when it is damaged."""
        from edge_app.datasets.pictures import decode_thumbnail

        return self._encoder.encode(self._resize(decode_thumbnail(jpeg)))

    def close(self) -> None:
        """Close the model."""
        self._encoder.close()
