"""Pictures from outside for a running device: decoded like all others, prepared and encoded, one at a time."""

import threading

import numpy as np
from numpy.typing import NDArray

from edge_app.control.errors import UnreadablePicture
from edge_app.datasets.pictures import decode_thumbnail
from edge_app.errors import InputError
from edge_app.learner.pictures import Picture, PreparedPicture, exported_picture, prepare_picture
from edge_app.pipeline.encode import FrameEncoder, Preprocess


class OutsidePictures:
    """Prepares and encodes pictures that clients send; safe to use from any thread.

    Decoding takes up to 100 MB for the largest pictures, so one is decoded at a time.
    """

    def __init__(self, preprocess: Preprocess, encoder: FrameEncoder, side: int) -> None:
        """`preprocess` must not be shared; `encoder` is that of the live loop, `side` that of its input, pixels."""
        self._preprocess = preprocess
        self._encoder = encoder
        self._side = side
        self._guard = threading.Lock()

    def prepare(self, picture: Picture) -> PreparedPicture:
        """Return a picture as it would be stored. Raises UnreadablePicture."""
        with self._guard:
            try:
                return prepare_picture(picture, self._preprocess)
            except InputError as error:
                raise UnreadablePicture(str(error)) from error

    def prepare_exported(self, data: bytes) -> PreparedPicture:
        """Return a picture that edge-app exported, an encoder's input already. Raises UnreadablePicture."""
        with self._guard:
            try:
                return exported_picture(data, self._side)
            except InputError as error:
                raise UnreadablePicture(str(error)) from error

    def prepare_stored(self, jpeg: bytes) -> PreparedPicture:
        """Return a picture that this device stored itself, as it is unless the encoder takes another size now.

        Raises UnreadablePicture.
        """
        with self._guard:
            try:
                image = decode_thumbnail(jpeg)
                if image.shape == (self._side, self._side, 3):
                    return PreparedPicture(image, jpeg)
                return exported_picture(jpeg, self._side)
            except InputError as error:
                raise UnreadablePicture(str(error)) from error

    def encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the embedding (n,) uint8 of a prepared picture, (side, side, 3) uint8."""
        return self._encoder.encode(image).copy()
