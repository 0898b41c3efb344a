"""Use any source of pictures as the camera, here a video that OpenCV reads: python own_camera.py STATE VIDEO CLASS

The first picture is taught as CLASS; then the decision is printed whenever it changes.
"""

import sys
import time

import cv2

from edge_app import Decided, Device


def main(state: str, video: str, label: str) -> None:
    """Teach the beginning of the video, and follow the rest."""
    capture = cv2.VideoCapture(video)
    period_s = 1 / (capture.get(cv2.CAP_PROP_FPS) or 25)

    def next_frame():
        """Return the next frame as RGB, None after the last one."""
        time.sleep(period_s)  # the function sets the pace; a camera would wait for its next frame here
        there, image = capture.read()
        return cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if there else None

    taught = False
    with Device(state, camera=next_frame) as device:
        for event in device.events(Decided):
            if not taught:
                print(f"taught: {device.teach(label).label}")
                taught = True
            if event.changed:
                print(f"frame {event.sequence}: {event.label or 'unknown'}")


if __name__ == "__main__":
    main(*sys.argv[1:])
