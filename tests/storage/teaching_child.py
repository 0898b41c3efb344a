"""Processes that teach until they are killed; each prints the id of an example once it is acknowledged.

Run as a program it reads lines "FOLDER WHAT FIRST", forks a process that teaches for each of them (so that the imports
are paid once), prints its id, and "end" when it is gone.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from simple_network import embedding, open_learner


def teach(folder: Path, what: str, first: int) -> None:
    """Teach into `folder`; what: "teach" alone, "snapshots" saves one after each example, "corrections" forgets one."""
    learner = open_learner(folder, snapshot_every=7)
    print("ready", flush=True)
    for number in range(first, first + 100_000):
        values = embedding(number, number % 5)
        taught = learner.teach(values, f"class {number % 5}", source=str(number), thumbnail=b"x" * 999)
        print(taught.example_id, number, flush=True)
        if what == "snapshots":
            learner.save()
        elif what == "corrections":
            oldest = learner.examples()[0].id
            learner.forget_example(oldest, background=bool(number % 2))
            print(-oldest, number, flush=True)


def main() -> None:
    """Fork a teaching process for each line of standard input."""
    for line in sys.stdin:
        folder, what, first = line.split()
        child = os.fork()
        if child == 0:
            teach(Path(folder), what, int(first))
        print("pid", child, flush=True)
        os.waitpid(child, 0)
        print("\nend", flush=True)


if __name__ == "__main__":
    main()
