"""Opens a state folder, and refuses one that belongs to another encoder, rate code or set of parameters."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import ModelMismatch, StateCorrupt
from edge_app.learner.manifest import installed, preprocessing_of
from edge_app.learner.replay import NetworkFactory, RateCoder
from edge_app.storage.folder import FolderLock, database_path, require_state, snapshots_path
from edge_app.storage.records import Binding
from edge_app.storage.restore import complete_restore
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store

if TYPE_CHECKING:
    from edge_app.colanet.network import CoLaNET
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest
    from edge_app.encoder.ratecode import RateCode


class CoLaNETFactory:
    """Makes CoLaNETs with one set of parameters and one background, (r, n_inputs) uint8 counts."""

    def __init__(
        self, params: "Params", n_inputs: int, threads: int = 1, background: NDArray[np.uint8] | None = None
    ) -> None:
        self._background = background
        self._params = params
        self._n_inputs = n_inputs
        self._threads = threads

    def new(self) -> "CoLaNET":
        """Return a network without classes."""
        from edge_app.colanet.network import CoLaNET

        return CoLaNET(self._params, self._n_inputs, threads=self._threads, background=self._background)

    def load(self, data: bytes) -> "CoLaNET":
        """Return the network of a snapshot. Raises StateCorrupt, also for one that was made with another background."""
        from edge_app.colanet.network import CoLaNET

        # the background is part of the snapshot: it may come from an older manifest
        network = CoLaNET.from_snapshot(data, threads=self._threads)
        own, wanted = network.background, self._background
        same = own is wanted if own is None or wanted is None else np.array_equal(own, wanted)
        if not same:
            raise StateCorrupt("it was made with other background columns than the model has now")
        return network


class LearnerParts(NamedTuple):
    """The parts of a learner."""

    store: Store
    snapshots: Snapshots
    rate_code: RateCoder
    factory: NetworkFactory
    lock: FolderLock | None


def open_parts(
    folder: Path,
    manifest: "ModelManifest",
    *,
    params: "Params | None" = None,
    threads: int = 1,
    read_only: bool = False,
) -> LearnerParts:
    """Open the state in `folder`, creating it where it is missing (not with `read_only`).

    Raises ModelMismatch, StateBusy, StateCorrupt, StateNotWritable; InputError for a missing state to read.
    """
    from edge_app.encoder.background import load_background
    from edge_app.encoder.ratecode import RateCode

    rate_code, background = RateCode.for_model(manifest), load_background(manifest)
    lock = None
    if read_only:
        require_state(folder)
    else:
        # before the database: two processes that create it at once must not both succeed
        lock = _take_over(folder)
    try:
        store = _open_store(folder, manifest, rate_code, params, read_only=read_only)
        try:
            params = params or stored_params(store.binding.params)
            wanted = binding_of(manifest, rate_code, params)
            check_binding(store, wanted)
            if store.binding.preprocessing is None and not read_only:
                store.rebind(wanted)  # a state created before this field existed
        except BaseException:
            store.close()
            raise
    except BaseException:
        if lock is not None:
            lock.release()
        raise
    factory = CoLaNETFactory(params, rate_code.n_inputs, threads, background)
    return LearnerParts(store, Snapshots(snapshots_path(folder)), rate_code, factory, lock)


def _take_over(folder: Path) -> FolderLock:
    """Lock the folder, and complete a restore that was interrupted. Raises StateBusy, StateNotWritable."""
    lock = FolderLock(folder)
    try:
        complete_restore(folder)
    except BaseException:
        lock.release()
        raise
    return lock


def binding_of(manifest: "ModelManifest", rate_code: "RateCode", params: "Params") -> Binding:
    """Return the binding of a state that is taught with these."""
    return Binding(
        encoder_name=manifest.name,
        encoder_sha256=manifest.sha256,
        embedding_size=manifest.embedding_size,
        rate_code_digest=rate_code.digest,
        params_digest=params.digest,
        params=params.to_dict(),
        preprocessing=preprocessing_of(manifest),
    )


def stored_params(values: Mapping[str, Any]) -> "Params":
    """Return the parameters stored with a state. Raises ParameterError when one is unknown."""
    from edge_app.colanet.params import Params

    return Params.from_dict(dict(values))


def check_binding(store: Store, wanted: Binding) -> None:
    """Raise ModelMismatch, with the way out, unless the state was taught with what is `wanted`."""
    stored, folder = store.binding, store.path.parent
    # the encoder first: another encoder explains the other differences as well
    if stored.encoder_sha256 != wanted.encoder_sha256:
        raise ModelMismatch(_other_encoder(store, wanted))
    # None: a state created before this field existed
    if stored.preprocessing not in (None, wanted.preprocessing):
        raise ModelMismatch(
            f"{folder} was taught with frames prepared by {stored.preprocessing!r}, the model's manifest now says "
            f"{wanted.preprocessing!r}: what is shown would not look like what was learnt. Put the crop back, or "
            f"`edge-app rebuild --state {folder}` takes what was learnt as it is; none is lost"
        )
    for what, old, new in (
        ("rate code", stored.rate_code_digest, wanted.rate_code_digest),
        ("classifier parameters", stored.params_digest, wanted.params_digest),
    ):
        if old != new:
            raise ModelMismatch(
                f"{folder} was taught with other {what} ({old[:12]}...) than those in use ({new[:12]}...): "
                f"`edge-app rebuild --state {folder}` has the stored examples learnt again with these; none is lost, "
                "and the old state stays until the new one is whole"
            )


def _other_encoder(store: Store, wanted: Binding) -> str:
    """Return the message for a state of another encoder: both ways out, and what each needs."""
    stored, folder = store.binding, store.path.parent
    examples = store.examples()
    pictures = sum(example.has_thumbnail for example in examples)
    found = installed(stored.encoder_sha256)
    keep = (
        f"To stay with the first: `--model {found[0].stem}`"
        if found
        else "The first is not installed: `edge-app models add FILE` adds its file, which an earlier edge-app or the "
        "device that taught the state has"
    )
    return (
        f"{folder} was taught with the encoder {stored.encoder_name} (SHA-256 {stored.encoder_sha256[:12]}...), "
        f"the one in use is {wanted.encoder_name} ({wanted.encoder_sha256[:12]}...). "
        f"`edge-app rebuild --state {folder} --model {wanted.encoder_name}` moves what was taught: it encodes the "
        f"examples anew from their thumbnails, which {pictures} of {len(examples)} have, and keeps the old database. "
        f"{keep}"
    )


def _open_store(
    folder: Path, manifest: "ModelManifest", rate_code: "RateCode", params: "Params | None", *, read_only: bool
) -> Store:
    path = database_path(folder)
    if read_only:
        return Store.reader(path)
    if path.exists():
        return Store.open(path)
    from edge_app.colanet.params import Params

    return Store.create(path, binding_of(manifest, rate_code, params or Params()))
