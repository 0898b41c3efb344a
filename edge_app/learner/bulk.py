"""Teaches a data set: pictures are decoded, encoded and learnt at the same time, in batches that are all or nothing.

A picture whose thumbnail is stored already under its class is left out, so that an interrupted run can be repeated: it
continues after the last batch that was stored.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from edge_app.closing import Closing
from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.listing import LeftOut
from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.learner.learner import Learner
from edge_app.learner.pictures import PreparedPicture, exported_picture, prepare_picture
from edge_app.learner.samples import Sample
from edge_app.storage.records import thumbnail_mark

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

BATCH = 32
"""Examples of a class that are stored as one action."""
AHEAD = 2 * BATCH
"""Pictures decoded before they are encoded, and waiting to be encoded: 150 kB each with the shipped encoder."""
DECODERS = 2
ENCODERS = 2
"""Encoders at work: while one waits for Python's interpreter or a free core, the other goes on."""
SOURCE = "data set"
"""Source of an example whose picture has no name."""

Progress = Callable[[str, Sequence[Any]], Iterable[Any]]
"""Wraps a list of work with a title, as tqdm does."""


@dataclass
class BulkResult:
    """The outcome of teaching a data set, up to now."""

    taught: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Examples stored and learnt, by class."""
    right: int = 0
    """Of them, those whose class was decided before they were learnt."""
    duplicates: list[str] = field(default_factory=list)
    """Pictures that were stored already, or occur twice in their class."""
    ambiguous: list[str] = field(default_factory=list)
    """Pictures that are taught although they are also in another class."""
    failed: list[LeftOut] = field(default_factory=list)
    """Pictures that cannot be read."""


class _Encoding(NamedTuple):
    """A picture that is being encoded."""

    embedding: Future[NDArray[np.uint8]]
    thumbnail: bytes
    name: str


class BulkTeacher(Closing):
    """Teaches the pictures of data sets; a context manager, used by one thread."""

    def __init__(self, learner: Learner, manifest: "ModelManifest", *, threads: int = 1) -> None:
        """Load the model. Raises RuntimeMissing, ModelNotFound, ModelMismatch."""
        # here, because a TFLite runtime takes long to load, and other users of this module need none
        from edge_app.encoder.tflite import TFLiteEncoder

        self._learner = learner
        self._manifest = manifest
        self._free: SimpleQueue[TFLiteEncoder] = SimpleQueue()
        """Encoders that are not at work; each is used by one thread at a time."""
        for _ in range(ENCODERS):
            self._free.put(TFLiteEncoder(manifest, threads=threads))
        self._encoding: deque[Future[NDArray[np.uint8]]] = deque()
        self._encoders = ThreadPoolExecutor(ENCODERS, thread_name_prefix="encoder")
        self._decoders = ThreadPoolExecutor(DECODERS, thread_name_prefix="decoder")
        # one: batches have to be learnt in the order of the data set
        self._teacher = ThreadPoolExecutor(1, thread_name_prefix="teacher")
        # a Preprocessor reuses its buffers, so each decoder thread has its own
        self._own = threading.local()

    def teach(
        self,
        dataset: Dataset,
        items: Sequence[Item],
        result: BulkResult,
        *,
        progress: Progress = lambda what, items: items,
    ) -> None:
        """Teach the items; `result` is brought up to date with every batch that is stored.

        Raises InputError for a class name that cannot be used or a class that would exceed its limit, before anything
        is taught, and StateNotWritable; batches stored before that stay.
        """
        # everything that a name or a number can violate, before anything is taught
        self._check(items)
        known = self._learner.pictures()
        batches: dict[str, list[_Encoding]] = defaultdict(list)
        storing: deque[Future[None]] = deque()
        ahead = self._prepared(dataset, items)
        for item in progress("teaching", items):
            try:
                # raises what the decoder's thread raised
                picture = next(ahead).result()
            except InputError as error:
                result.failed.append(LeftOut(item.name, str(error)))
                continue
            if not is_new(item, known.setdefault(thumbnail_mark(picture.thumbnail), set()), result):
                continue
            batch = batches[item.label]
            batch.append(_Encoding(self._begin(picture.image), picture.thumbnail, item.name))
            if len(batch) == BATCH:
                storing.append(self._teacher.submit(self._store, item.label, batches.pop(item.label), result))
            # results are taken early, so that a failure ends the run, and few batches wait in memory
            while storing and (storing[0].done() or len(storing) > 2):
                storing.popleft().result()
        for label, batch in batches.items():
            storing.append(self._teacher.submit(self._store, label, batch, result))
        # raises what a batch failed with
        for future in storing:
            future.result()

    def close(self) -> None:
        """Close the model, after the batch that is being stored."""
        # in the order of the flow: nothing new reaches the teacher, then the batch in progress ends, then the model
        self._decoders.shutdown(cancel_futures=True)
        self._encoders.shutdown()
        self._teacher.shutdown(cancel_futures=True)
        for _ in range(ENCODERS):
            self._free.get().close()

    def _check(self, items: Sequence[Item]) -> None:
        wanted: dict[str, int] = defaultdict(int)
        for item in items:
            wanted[check_label(item.label)] += 1
        most = self._learner.limits.examples_per_class
        for label, count in wanted.items():
            if count > most:  # with the policy to replace, they would replace one another
                raise InputError(
                    f"class {label!r} has {count} pictures, the limit is {most} examples for each class "
                    "(state.examples_per_class): use fewer (--limit N), or raise it"
                )

    def _prepared(self, dataset: Dataset, items: Sequence[Item]) -> Iterator[Future[PreparedPicture]]:
        """Yield the pictures in order, while the next ones are being decoded."""
        waiting: deque[Future[PreparedPicture]] = deque()
        for item in items:
            waiting.append(self._decoders.submit(self._prepare, dataset, item))
            # bounded: decoded pictures take much memory
            if len(waiting) > AHEAD:
                yield waiting.popleft()
        yield from waiting

    def _prepare(self, dataset: Dataset, item: Item) -> PreparedPicture:
        from edge_app.encoder.preprocess import Preprocessor

        # an export holds inputs of an encoder, which must not be cropped a second time
        if dataset.exported:
            return exported_picture(dataset.read(item), self._manifest.input_size)
        if not hasattr(self._own, "preprocess"):
            self._own.preprocess = Preprocessor(self._manifest.input_size, crop=self._manifest.crop)
        return prepare_picture(dataset.read(item), self._own.preprocess)

    def _begin(self, image: NDArray[np.uint8]) -> Future[NDArray[np.uint8]]:
        """Have a picture encoded, after a wait for the oldest while many are waiting."""
        self._encoding.append(self._encoders.submit(self._encode, image))
        if len(self._encoding) > AHEAD:
            # raises what the encoder raised
            self._encoding.popleft().result()
        return self._encoding[-1]

    def _encode(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        encoder = self._free.get()
        try:
            return encoder.encode(image)
        finally:
            self._free.put(encoder)

    def _store(self, label: str, batch: "Sequence[_Encoding]", result: BulkResult) -> None:
        """Store and learn a batch, all or nothing; in the teacher's thread."""
        samples = [Sample(one.embedding.result(), one.thumbnail, one.name) for one in batch]
        learnt = self._learner.teach_many(samples, label, source=SOURCE)
        result.taught[label] += len(learnt)
        result.right += sum(one.before.label == label for one in learnt)


def is_new(item: Item, classes: set[str], result: BulkResult) -> bool:
    """Note an item's class among the classes of the same picture; whether it is to be taught."""
    if item.label in classes:
        result.duplicates.append(item.name)
        return False
    if classes:
        result.ambiguous.append(item.name)
    classes.add(item.label)
    return True


def in_turns(items: Iterable[Item], limit: int | None = None) -> list[Item]:
    """Return items so that classes take turns, BATCH of each; at most `limit` of a class."""
    classes: dict[str, list[Item]] = defaultdict(list)
    for item in items:
        if limit is None or len(classes[item.label]) < limit:
            classes[item.label].append(item)
    longest = max(map(len, classes.values()), default=0)
    # classes take turns, because a network that sees one class after the other forgets some of the earlier ones
    return [
        item
        for start in range(0, longest, BATCH)
        for label in sorted(classes)
        for item in classes[label][start : start + BATCH]
    ]
