"""Dreams: a stored picture enlarged, shifted or mirrored. The same bits on every machine.

An alteration depends on the picture and a number only, so a dream that was lost can be made again.
"""

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

SMALLEST, LARGEST = 0.75, 0.95
"""Side of that square as a fraction of the picture's side."""


class Alteration(NamedTuple):
    """A square of a picture that is enlarged to the whole picture."""

    left: int
    top: int
    side: int
    """Pixels."""
    mirror: bool
    """Whether left and right are swapped afterwards."""


def alteration(jpeg: bytes, number: int, size: int) -> Alteration:
    """Return alteration `number`, counted from 0, of a picture that is `size` pixels wide and high.

    Every second one is mirrored. Place and size come from blake2b of the picture's bytes and the number.
    """
    # a hash, not a random generator: those of numpy may change between versions. 12 bytes are three 32-bit draws
    digest = hashlib.blake2b(jpeg, digest_size=12, person=number.to_bytes(16, "little")).digest()
    draws = [int.from_bytes(digest[i : i + 4], "little") for i in range(0, 12, 4)]
    least, most = max(round(size * SMALLEST), 1), max(round(size * LARGEST), 1)
    side = least + draws[0] % (most - least + 1)
    return Alteration(draws[1] % (size - side + 1), draws[2] % (size - side + 1), side, mirror=number % 2 == 1)


def altered(image: NDArray[np.uint8], how: Alteration) -> NDArray[np.uint8]:
    """Return a square picture, (side, side, 3) uint8 RGB, altered, C-contiguous.

    Enlarged with OpenCV's INTER_LINEAR_EXACT, which is specified to the bit.
    """
    import cv2

    part = image[how.top : how.top + how.side, how.left : how.left + how.side]
    # cv2 takes (width, height)
    whole = cv2.resize(np.ascontiguousarray(part), image.shape[1::-1], interpolation=cv2.INTER_LINEAR_EXACT)
    picture: NDArray[np.uint8] = np.ascontiguousarray(whole[:, ::-1]) if how.mirror else whole
    return picture


def dream_picture(jpeg: bytes, number: int, size: int) -> NDArray[np.uint8]:
    """Return dream `number` of a thumbnail (JPEG), ready for the encoder: (size, size, 3) uint8 RGB.

    Raises InputError when the thumbnail is damaged.
    """
    from edge_app.datasets.pictures import decode_thumbnail
    from edge_app.encoder.preprocess import Preprocessor

    image = Preprocessor(size)(decode_thumbnail(jpeg))
    return altered(image, alteration(jpeg, number, size))
