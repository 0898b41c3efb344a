"""Moves a state to another encoder, rate code or set of parameters; the old state stays until the new one is complete.

Same encoder: the stored embeddings are replayed, nothing is lost. Another encoder: every example is encoded anew from
its thumbnail (the old encoder's input as JPEG), the examples without one are lost, and the old database is kept aside.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.errors import InputError, ModelMismatch, StateCorrupt
from edge_app.files import GROUP_READABLE, sync_folder
from edge_app.learner.replay import CHUNK, NetworkFactory, Progress, RateCoder, Trained, prediction_of, replay
from edge_app.storage.errors import os_errors
from edge_app.storage.folder import FolderLock, database_path, require_state, snapshots_path
from edge_app.storage.records import Binding, Example, Kind, Prediction
from edge_app.storage.snapshots import Snapshots
from edge_app.storage.store import Store

if TYPE_CHECKING:
    from edge_app.colanet.params import Params
    from edge_app.encoder.model import ModelManifest

Encode = Callable[[bytes], NDArray[np.uint8]]
"""A thumbnail (JPEG) to its embedding, (n,) uint8."""


class Recognised(NamedTuple):
    """How many examples of known classes were recognised before they were learnt."""

    right: int
    tested: int


class Rebuilt(NamedTuple):
    """The result of a rebuild."""

    examples: int
    reencoded: bool
    lost: int
    """Examples without a thumbnail that can be read; they are in the old database."""
    kept: Path | None
    """Path of the old database, if the encoder changed."""
    encoder: str
    """Name of the encoder before the rebuild."""
    before: Recognised
    """Counted from the predictions stored before the rebuild, which imported examples lack."""
    after: Recognised
    """Counted from the predictions stored now; those of another network are made anew during the replay."""


def rebuild(
    folder: Path,
    binding: Binding,
    rate_code: RateCoder,
    factory: NetworkFactory,
    *,
    encode: Encode | None = None,
    accept_loss: bool = False,
    progress: Progress | None = None,
) -> Rebuilt:
    """Bind the state to `binding`, encode the examples again if the encoder changed, and replay the journal.

    Raises ModelMismatch when examples would be lost and `accept_loss` is false, StateBusy, StateCorrupt,
    StateNotWritable, InputError.
    """
    require_state(folder)
    # held throughout: a service that teaches meanwhile would write for the old encoder
    lock = FolderLock(folder)
    try:
        with Store.open(database_path(folder)) as store:
            encoder, before = store.binding.encoder_name, _recognised(store.examples())
            # compared before rebind() below replaces the stored binding
            other = binding.decides_otherwise(store.binding)
            reencode = binding.encoder_sha256 != store.binding.encoder_sha256
            lost, kept = 0, None
            if reencode:
                lost, kept = _reencode(store, binding, encode, accept_loss, progress)
            trained = Trained(factory.new())
            predictions = None
            if other:
                predictions = _predict_and_learn(trained, rate_code, store, progress)
            else:
                replay(trained, rate_code, store.journal, store.count_presentations(), progress)
            # before the binding changes: after a crash in between, the snapshot fits no binding and is ignored
            Snapshots(snapshots_path(folder)).save(trained.key(binding), trained.network.snapshot())
            store.rebind(binding, predictions=predictions)
            examples = store.examples()
            return Rebuilt(len(examples), reencode, lost, kept, encoder, before, _recognised(examples))
    finally:
        lock.release()


def _reencode(
    store: Store, binding: Binding, encode: Encode | None, accept_loss: bool, progress: Progress | None
) -> tuple[int, Path]:
    if encode is None:
        raise InputError("another encoder needs its model, to encode the thumbnails")
    embeddings, lost = _encoded(store, encode, progress)
    # after all were tried: the message can tell what exactly would be lost
    if lost and not accept_loss:
        few = "; ".join(f"{example}: {reason}" for example, reason in list(lost.items())[:5])
        raise ModelMismatch(
            f"{len(lost)} of {len(lost) + len(embeddings)} examples cannot be encoded by {binding.encoder_name} and "
            f"would be lost ({few}{'; ...' if len(lost) > 5 else ''}). Accept that with --accept-loss; the old "
            "database is kept"
        )
    # before anything changes
    kept = _keep(store)
    try:
        store.rebind(binding, embeddings.__getitem__, drop=[*lost, *store.forgotten()])
    except BaseException:
        kept.unlink(missing_ok=True)  # the state is unchanged: a copy for each failure would fill the disk
        raise
    return len(lost), kept


def _encoded(store: Store, encode: Encode, progress: Progress | None) -> tuple[dict[int, bytes], dict[int, str]]:
    """Return the embeddings of the thumbnails by example, and why there is none of the others."""
    examples = store.examples()
    lost = {example.id: "it has no thumbnail" for example in examples if not example.has_thumbnail}
    pictured = [example.id for example in examples if example.has_thumbnail]
    embeddings: dict[int, bytes] = {}
    for done, example in enumerate(pictured, start=1):
        try:
            # never None: only examples with a thumbnail are asked for
            embeddings[example] = encode(store.thumbnail(example) or b"").tobytes()
        except (InputError, StateCorrupt) as error:
            lost[example] = str(error)
        if progress is not None:
            progress(done, len(pictured))
    return embeddings, lost


def _recognised(examples: Sequence[Example]) -> Recognised:
    """Count the stored predictions on examples, given in the order in which they were taught."""
    known: set[str] = set()
    right = tested = 0
    for example in examples:
        # the first example of a class cannot be recognised, and does not count
        if example.label in known and example.before is not None:
            tested += 1
            right += example.before.label == example.label
        known.add(example.label)
    return Recognised(right, tested)


def _predict_and_learn(
    trained: Trained, rate_code: RateCoder, store: Store, progress: Progress | None
) -> dict[int, Prediction]:
    """Replay the journal as `replay` does; return the prediction on each example before it was learnt first."""
    total = store.count_presentations()
    presented = iter(store.presentations())
    predictions: dict[int, Prediction] = {}
    newest: dict[str, int] = {}
    while entries := store.journal(trained.seq, CHUNK):
        for entry in entries:
            if entry.kind is Kind.EXAMPLE:
                example = next(presented)
                # an example may be presented again: only the first time it was unknown
                if example not in predictions:
                    before = trained.network.predict_one(rate_code(np.frombuffer(entry.embedding, np.uint8)))
                    predictions[example] = prediction_of(before, newest.get(before.label or ""))
                newest[entry.label] = max(example, newest.get(entry.label, 0))
            # one by one: the next prediction needs this one learnt
            trained.learn([entry], rate_code)
        if progress is not None:
            progress(trained.journal.count, total)
    return predictions


def _keep(store: Store) -> Path:
    """Copy the database to a name that identifies its encoder; return the path."""
    mark = hashlib.sha256(store.binding.to_json().encode()).hexdigest()[:8]
    number = 1
    while (target := store.path.with_name(f"before-rebuild-{number}-{mark}.sqlite")).exists():
        number += 1
    draft = target.with_suffix(".tmp")
    with os_errors(target.parent, "keep the old database"):
        # of a rebuild that was killed
        draft.unlink(missing_ok=True)
        # created here, because SQLite would give it a mode by the umask
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, GROUP_READABLE))
        store.backup(draft)
        # only a complete copy gets the name that people look for
        draft.rename(target)
        sync_folder(target.parent)
    return target


def rebuild_for(
    folder: Path,
    manifest: "ModelManifest",
    *,
    params: "Params | None" = None,
    threads: int = 1,
    encode: Encode | None = None,
    accept_loss: bool = False,
    progress: Progress | None = None,
) -> Rebuilt:
    """`rebuild` for CoLaNET and a model's rate code; `params` None keeps those that the state was taught with."""
    from edge_app.encoder.background import load_background
    from edge_app.encoder.ratecode import RateCode
    from edge_app.learner.state import CoLaNETFactory, binding_of, stored_params

    require_state(folder)
    rate_code = RateCode.for_model(manifest)
    if params is None:
        with Store.reader(database_path(folder)) as store:
            params = stored_params(store.binding.params)
    new = binding_of(manifest, rate_code, params)
    factory = CoLaNETFactory(params, rate_code.n_inputs, threads, load_background(manifest))
    return rebuild(folder, new, rate_code, factory, encode=encode, accept_loss=accept_loss, progress=progress)
