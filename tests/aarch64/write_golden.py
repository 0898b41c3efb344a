"""Write golden.json: `make golden`, after a change of the arithmetic that is meant, on x86-64."""

import platform
import tempfile
from pathlib import Path

from journey import GOLDEN, text_of, walk

if __name__ == "__main__":
    if platform.machine() != "x86_64":
        raise SystemExit(f"golden.json holds what x86-64 computes; this is {platform.machine()}")
    with tempfile.TemporaryDirectory() as folder:
        GOLDEN.write_text(text_of(walk(Path(folder) / "state")), encoding="ascii")
    print(GOLDEN.name)
