"""The taught network as one npz file for other programs: rate code, network, limit of "unknown" (docs/npz.md)."""

import io
import zipfile
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from edge_app import __version__
from edge_app.learner.learner import Learner
from edge_app.learner.manifest import preprocessing_of
from edge_app.storage.sealed import entry

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

FORMAT = "edge-app network 2"
# the largest int64: readers compare, and need no case of their own for "no limit"
NO_LIMIT = (1 << 63) - 1


def write_portable(learner: Learner, manifest: "ModelManifest", limit: int | None, file: BinaryIO) -> int:
    """Write the network in use to a file as npz; return its number of classes.

    `limit`: the greatest novelty with a class, 1/1024 octave; None: any. Equal networks give equal bytes. Raises
    InputError for a network without classes, or with other parameters than can be written so.
    """
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.portable import decision_arrays
    from edge_app.encoder.ratecode import RateCode

    # a copy: the network in use may learn meanwhile
    network = CoLaNET.from_snapshot(learner.network_state())
    arrays: dict[str, NDArray[Any]] = {
        "format": np.array(FORMAT),
        "program": np.array(__version__),
        "encoder_name": np.array(manifest.name),
        "encoder_sha256": np.array(manifest.sha256),
        "preprocessing": np.array(preprocessing_of(manifest)),
        **RateCode.for_model(manifest).arrays(),
        **decision_arrays(network),
        "limit": np.array(NO_LIMIT if limit is None else limit),
    }
    # not np.savez: it writes the time of day into the file, and equal networks would give other bytes
    with zipfile.ZipFile(file, "w") as archive:
        for name, values in arrays.items():
            content = io.BytesIO()
            np.save(content, values, allow_pickle=False)
            archive.writestr(entry(f"{name}.npy", zipfile.ZIP_DEFLATED), content.getvalue())
    return len(network.labels)
