"""The camera as a process of its own, run by the system's Python, which has libcamera and picamera2.

It imports nothing of edge-app, and writes frames into memory that it was handed, newest over oldest:

    int64 number of the newest frame, then SLOTS times (int64 number, int64 time, pixels), each on its own 64 bytes

Frame n (from 1) lies in slot n % SLOTS. On the standard output it says one line of JSON, {"ready": ...} or
{"error": ...}, then a dot a frame. It ends when its standard input closes: with the process that started it.
"""

import contextlib
import importlib
import json
import mmap
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

# enough that a slot stays untouched while it is copied
SLOTS = 4
# a cache line: numbers and pixels do not share one
ALIGN = 64


def slot_bytes(size: tuple[int, int]) -> int:
    """Return the bytes of a slot for frames of `size` = (width, height)."""
    return ALIGN + -(-size[0] * size[1] * 3 // ALIGN) * ALIGN


def memory_bytes(size: tuple[int, int]) -> int:
    """Return the bytes of the whole memory."""
    return ALIGN + SLOTS * slot_bytes(size)


class Board:
    """Shared memory that frames are written to."""

    def __init__(self, descriptor: int, size: tuple[int, int]) -> None:
        self.size = size
        self.memory = mmap.mmap(descriptor, memory_bytes(size))
        self.number = 0

    def put(self, pixels: Any, time_ns: int) -> None:
        """Write a frame: `pixels`, a C-contiguous buffer of width * height * 3 bytes RGB."""
        self.number += 1
        start = ALIGN + self.number % SLOTS * slot_bytes(self.size)
        data = memoryview(pixels).cast("B")
        if len(data) != 3 * self.size[0] * self.size[1]:
            raise ValueError(f"a frame has {len(data)} bytes, expected {3 * self.size[0] * self.size[1]}")
        struct.pack_into("=qq", self.memory, start, self.number, time_ns)
        self.memory[start + ALIGN : start + ALIGN + len(data)] = data
        # last: the number tells that the frame is complete
        struct.pack_into("=q", self.memory, 0, self.number)
        # a full pipe: the reader is thousands of frames behind, and will see the number in the memory
        with contextlib.suppress(BlockingIOError):
            os.write(1, b".")  # a system call: what was written before is seen by whoever reads the dot


def run_camera(board: Board, options: dict[str, Any], ready: Callable[[str], None]) -> None:
    """Write the frames of a picamera2 camera until the process ends."""
    try:
        numpy = importlib.import_module("numpy")
        library = importlib.import_module("picamera2")
    except ImportError as error:
        name = error.name or "picamera2"
        raise SystemExit(
            f"the Python {sys.executable} cannot import {name}: sudo apt install python3-picamera2 ({error})"
        ) from error
    found = [str(info.get("Model", "?")) for info in library.Picamera2.global_camera_info()]
    number = options["camera"]
    if number >= len(found):
        raise SystemExit(f"no camera number {number}; libcamera finds: {', '.join(found) or 'none; check the cable'}")
    camera = library.Picamera2(number)
    # picamera2 names formats by significance, so BGR888 is R, G, B in memory
    camera.configure(
        camera.create_video_configuration(
            main={"size": board.size, "format": "BGR888"},
            controls={"FrameRate": options["fps"], **options["controls"]},
            queue=False,  # a request returns the next frame, not one from before
        )
    )
    actual = tuple(camera.camera_configuration()["main"]["size"])
    # sensors align sizes; frames of another size would not fit the slots
    if actual != board.size:
        raise SystemExit(f"the camera delivers {actual[0]}x{actual[1]}; write size={actual[0]}x{actual[1]}")
    camera.start()
    ready(found[number])
    # CLOCK_BOOTTIME also counts suspended time; all other stamps are of CLOCK_MONOTONIC
    asleep_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.monotonic_ns()
    while True:
        request = camera.capture_request()
        try:
            stamp = request.get_metadata().get("SensorTimestamp")  # of CLOCK_BOOTTIME
            time_ns = time.monotonic_ns() if stamp is None else stamp - asleep_ns
            with library.MappedArray(request, "main") as mapped:
                board.put(numpy.ascontiguousarray(mapped.array), time_ns)
        finally:
            request.release()


def run_test(board: Board, options: dict[str, Any], ready: Callable[[str], None]) -> None:
    """Write red above blue with a moving grey bar, to test everything but the camera."""
    width, height = board.size
    start_ns = time.monotonic_ns()
    ready("test")
    tick = 0
    while True:
        due_ns = start_ns + int(tick * 1e9 / options["fps"])
        time.sleep(max(0, due_ns - time.monotonic_ns()) / 1e9)
        left, bar = width // 4 + tick % max(1, width // 2), max(1, width // 16)
        rows = [
            colour * left + bytes((128, 128, 128)) * bar + colour * (width - left - bar)
            for colour in (bytes((250, 0, 0)), bytes((0, 0, 250)))
        ]
        board.put(rows[0] * (height // 2) + rows[1] * (height - height // 2), due_ns)
        # late frames are left out, as a camera does
        tick = max(tick + 1, int((time.monotonic_ns() - start_ns) * options["fps"] / 1e9))


def watch_parent() -> None:
    """End at once when the standard input closes, even while a driver hangs."""
    while os.read(0, 1):
        pass
    # sys.exit would only end this thread
    os.kill(os.getpid(), signal.SIGTERM)


def say(answer: dict[str, str]) -> None:
    """Print one line of JSON."""
    os.write(1, json.dumps(answer).encode() + b"\n")


def main() -> None:
    """Run until the standard input closes."""
    options = json.loads(sys.argv[1])
    threading.Thread(target=watch_parent, daemon=True).start()
    width, height = options["size"]
    board = Board(options["descriptor"], (width, height))

    def ready(name: str) -> None:
        say({"ready": name})
        # from here on dots only: a full pipe must not stop the camera
        os.set_blocking(1, False)

    try:
        (run_test if options["source"] == "test" else run_camera)(board, options, ready)
    except (SystemExit, Exception) as error:
        # the answer was given already: the traceback on standard error says why it ended
        if board.number:
            raise
        say({"error": str(error) or type(error).__name__})
        raise SystemExit(1) from error


if __name__ == "__main__":
    main()
