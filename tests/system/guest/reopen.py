"""Opens state folders as the service would after a power cut, and prints what is in each as a JSON line.

usage: reopen.py FOLDER...
"""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np

from edge_app.datasets.pictures import decode_thumbnail
from edge_app.history.store import HistoryStore
from edge_app.learner import Learner
from edge_app.learner.manifest import find_manifest
from edge_app.storage.folder import DATABASE, database_path, history_path
from edge_app.storage.store import Store


def main() -> None:
    """Print the examples, and whether the network decides as one does that is taught all of them anew."""
    for folder in map(Path, sys.argv[1:]):
        manifest = find_manifest(folder, None)
        with Learner.open(folder, manifest) as learner, tempfile.TemporaryDirectory() as fresh:
            notices = learner.notices
            with Store.reader(database_path(folder)) as store:
                embeddings = [np.frombuffer(store.embedding(found.id), np.uint8) for found in store.examples()]
            for path in folder.glob(f"{DATABASE}*"):  # without the snapshots, all is learnt again
                shutil.copy(path, fresh)
            with Learner.open(Path(fresh), manifest) as anew:
                same = all(_decided(learner, embedding) == _decided(anew, embedding) for embedding in embeddings)
            examples = [[example.id, example.label] for example in learner.examples()]
        found = {"folder": str(folder), "examples": examples, "as_replayed": same, "notices": notices}
        with HistoryStore.open(history_path(folder)) as history:
            visits = list(history.visits())
            found["visits"] = [one.id for one in visits]
            found["torn_visits"] = [one.id for one in visits if one.picture and not _whole(history, one.id)]
        print("STATE", json.dumps(found), flush=True)


def _whole(history: HistoryStore, visit: int) -> bool:
    return bool(decode_thumbnail(history.picture(visit) or b"").size) and bool(history.embedding(visit))


def _decided(learner: Learner, embedding: "np.ndarray[tuple[int], np.dtype[np.uint8]]") -> tuple[object, ...]:
    found = learner.classify(embedding)
    return found.label, found.margin, found.spikes.tolist(), found.first_spike.tolist()


if __name__ == "__main__":
    main()
