"""Processes that teach until they are killed; each prints the id of an example once it is acknowledged.

Run as a program it reads lines "FOLDER WHAT FIRST", forks a process that teaches for each of them (so that the imports
are paid once), prints its id, and "end" when it is gone.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from numpy.typing import NDArray

from edge_app.learner import Learner
from support.simple_network import embedding, open_learner


def say(line: str) -> None:
    """Write a line in one call, which a pipe takes as a whole or not at all; print may write it in pieces."""
    os.write(sys.stdout.fileno(), f"{line}\n".encode())


def colanet(folder: Path) -> Learner:
    """Open the state with the real classifier, for embeddings of this test's size repeated to the encoder's."""
    from edge_app.encoder.model import load_manifest

    return Learner.open(folder, load_manifest())


def shown(what: str, number: int) -> NDArray[np.uint8]:
    """The embedding that example `number` is made of."""
    values = embedding(number, number % 5)
    return np.tile(values, 1280 // len(values)) if what == "colanet" else values


def teach(folder: Path, what: str, first: int) -> None:
    """Teach into `folder` until killed.

    what: "teach" alone; "snapshots" saves one after each example; "corrections" forgets one; "colanet" teaches the real
    classifier.
    """
    learner = colanet(folder) if what == "colanet" else open_learner(folder, snapshot_every=7)
    say("ready")
    for number in range(first, first + 100_000):
        values = shown(what, number)
        taught = learner.teach(values, f"class {number % 5}", source=str(number), thumbnail=b"x" * 999)
        say(f"{taught.example_id} {number}")
        if what == "snapshots" or (what == "colanet" and number % 4 == 0):
            learner.save()
        elif what == "corrections":
            oldest = learner.examples()[0].id
            learner.forget_example(oldest, background=bool(number % 2))
            say(f"{-oldest} {number}")


def main() -> None:
    """Fork a teaching process for each line of standard input."""
    for line in sys.stdin:
        folder, what, first = line.split()
        if what == "colanet":
            import edge_app.colanet.network  # noqa: F401 before the fork: once instead of every time
        child = os.fork()
        if child == 0:
            teach(Path(folder), what, int(first))
        say(f"pid {child}")
        os.waitpid(child, 0)
        say("end")


if __name__ == "__main__":
    main()
