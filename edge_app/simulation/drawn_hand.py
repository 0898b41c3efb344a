"""Draws the hand that holds an object: the only part of a simulated scene that is not a photograph."""

import numpy as np
from numpy.typing import NDArray

from edge_app.simulation.photographs import premultiplied

SIZE = (300, 420)
"""Width and height of the drawing, pixels; the fingertips are at the top."""

TONES = ((236, 188, 160), (224, 172, 138), (198, 134, 92), (168, 112, 78), (120, 78, 54), (86, 56, 42))
"""Skin colours, RGB."""

# start, end, radius: forearm and palm first, then the fingers that close in front of the object, the thumb last
LIMBS = (
    ((150, 440), (150, 300), 62),
    ((105, 250), (195, 250), 56),
    ((76, 240), (66, 128), 22),
    ((126, 230), (120, 88), 24),
    ((176, 230), (176, 84), 24),
    ((224, 240), (230, 120), 21),
    ((92, 270), (20, 200), 25),
)


def draw_hand(tone: tuple[int, int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return image (420, 300, 3) RGB, multiplied by its mask, and mask (420, 300), uint8; limbs lit as cylinders."""
    import cv2

    width, height = SIZE
    image = np.zeros((height, width, 3), np.uint8)
    mask = np.zeros((height, width), np.uint8)
    colour = np.array(tone, np.int32)
    for start, end, radius in LIMBS:
        limb = np.zeros((height, width), np.uint8)
        cv2.line(limb, start, end, 255, 2 * radius, cv2.LINE_8)
        cv2.circle(limb, end, radius, 255, -1, cv2.LINE_8)
        depth = cv2.distanceTransform(limb, cv2.DIST_L2, 3)
        bulge = 1 - (1 - np.clip(depth / radius, 0, 1)) ** 2
        shade = (140 + 116 * bulge).astype(np.int32)  # of 256: dark at the rim, full colour along the middle
        lit = (colour * shade[:, :, None] >> 8).astype(np.uint8)
        inside = limb > 0
        image[inside] = lit[inside]
        mask[inside] = 255
    mask = cv2.blur(mask, (3, 3))
    return premultiplied(cv2.GaussianBlur(image, (3, 3), 0), mask), mask
