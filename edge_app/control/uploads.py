"""Uploads: pictures that a client sends to be taught together, as one action, once all have arrived.

Each picture is reduced to its embedding and thumbnail when it arrives, 20 kB on the state's disk; nothing is taught
before `teach_upload`. The class of a picture is the one that the client names, or follows from the layout of the data
set, recognised as by `edge-app teach --folder`.
"""

import secrets
import threading
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Literal, NamedTuple

from edge_app.closing import Closing
from edge_app.control.errors import UnreadablePicture, UploadGone
from edge_app.control.outside import OutsidePictures
from edge_app.control.staged import StagedPicture, StagedSource, StagingFile
from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset, list_files
from edge_app.datasets.exported import is_exported_table
from edge_app.datasets.listing import OTHER_SUFFIXES, PICTURE_SUFFIXES, LeftOut, is_clutter, suffix_of
from edge_app.datasets.pictures import START_BYTES, picture_format
from edge_app.datasets.sources import ZipSource
from edge_app.devices.ports import NS_PER_S, Clock
from edge_app.errors import InputError
from edge_app.labels import check_label
from edge_app.learner.bulk import BulkResult, in_turns, is_new
from edge_app.learner.learner import Learner
from edge_app.storage.records import Action, NewExample, thumbnail_mark
from edge_app.unzip import check_count

MOST_OPEN = 4
IDLE_NS = 120 * NS_PER_S
"""An upload that is left alone for so long may be closed."""
PICTURE_BYTES = 32 << 20
"""Largest picture that is taken: it is held in memory."""
TABLE_BYTES, MOST_TABLES = 1 << 20, 16
"""Size and number of the tables that are kept to recognise the layout."""
FILES_EACH = 4
"""Files that may be sent, used or not, for each picture that may be taught."""
WAY_OUT = "teach a part at a time, or use `edge-app teach --folder PATH --live`, which does that"
TITLE = "upload"
"""The name of an upload in messages about its layout."""

Outcome = Literal["kept", "duplicate", "left_out", "unreadable"]
Contents = Generator[tuple[str, bytes, str], None, None]
"""Name, content and class of pictures."""


class ReceivedFile(NamedTuple):
    """The result of sending a file."""

    name: str
    outcome: Outcome
    reason: str = ""
    """Why it is not kept."""


class UploadPlan(NamedTuple):
    """The pictures that `teach_upload` would teach, and those that it would not."""

    layout: str
    """For people; "" if all classes were named."""
    pictures: list[StagedPicture]
    """Each with its class."""
    duplicates: list[str]
    """Pictures that are stored already under their class, or were sent twice."""
    ambiguous: list[str]
    """Pictures that are taught although they are also in another class."""
    unreadable: list[LeftOut]
    left_out: list[LeftOut]
    problem: str
    """Why nothing can be taught; "" if something can."""
    received: int
    """Pictures so far."""
    expected: int
    """Pictures in all, of an archive that is being read; else 0."""

    @property
    def classes(self) -> dict[str, int]:
        """Pictures to teach, by class."""
        return dict(sorted(Counter(one.label or "" for one in self.pictures).items()))


class TaughtUpload(NamedTuple):
    """The result of teaching an upload."""

    plan: UploadPlan
    action: Action | None
    """None: all were stored already."""

    @property
    def taught(self) -> dict[str, int]:
        """Examples that were stored, by class."""
        changes = () if self.action is None else self.action.changes
        return dict(sorted(Counter(change.after or "" for change in changes).items()))


class Upload(Closing):
    """Pictures on their way to be taught; safe to use from any thread."""

    def __init__(self, number: int, folder: Path, learner: Learner, outside: OutsidePictures) -> None:
        """Raises StateNotWritable."""
        self.id = number
        self.used_ns = 0
        """Monotonic clock, when it was used last; kept by `Uploads`."""
        self._most = learner.limits.import_examples
        self._outside = outside
        # reentrant: `add` calls methods that take it too
        self._guard = threading.RLock()
        self._closed = False
        self._known = learner.pictures()
        self._pictures: list[StagedPicture] = []
        self._tables: dict[str, bytes] = {}
        self._exported, self._layout = False, ""
        self._result = BulkResult()
        self._left_out: list[LeftOut] = []
        self._files = self._expected = 0
        self._file = StagingFile(folder)

    # Receiving

    def add(self, name: str, data: bytes, label: str | None = None, *, exported: bool = False) -> ReceivedFile:
        """Keep a picture, or a table of the data set; `label` None: the layout tells the class.

        `exported`: edge-app wrote the picture, which is an encoder's input already; its table in the upload tells that,
        too. Takes as long as decoding and encoding the picture. Raises InputError for too many files, UploadGone,
        StateNotWritable.
        """
        label = None if label is None else check_label(label)
        with self._guard:
            self._check_open()
            self._files += 1
            # files too: those that are left out cost a request each
            if len(self._pictures) >= self._most or self._files > FILES_EACH * self._most:
                raise InputError(f"an upload holds at most {self._most} pictures (state.import_examples): {WAY_OUT}")
            if any(map(is_clutter, name.split("/"))):
                return self._leave_out(name, "hidden, or made by the operating system")
            # with a class named, no layout is needed, and tables tell nothing
            if label is None and suffix_of(name) in OTHER_SUFFIXES:
                return self._add_table(name, data)
            if suffix_of(name) not in PICTURE_SUFFIXES and picture_format(data[:START_BYTES]) is None:
                return self._leave_out(name, "not a picture")
            return self._add_picture(name, data, label, exported or self._exported)

    def open_archive(self, path: Path, label: str | None, encoding: str | None = None) -> Contents:
        """Return the pictures of a zip, one at a time, for `add`; `label` None: its layout tells the classes.

        `encoding` is that of names that are not UTF-8. Raises InputError for another file or an unknown layout.
        """
        with path.open("rb") as file:
            # before the directory is read into memory
            check_count(file, FILES_EACH * self._most)
        source = _BoundedZip(path, TITLE, encoding)
        try:
            with self._guard:
                self._check_open()
                items, left_out = self._items(source, label)
                if len(self._pictures) + len(items) > self._most:
                    raise InputError(
                        f"the archive holds {len(items)} pictures, an upload at most {self._most} "
                        f"(state.import_examples): {WAY_OUT}"
                    )
                self._left_out += left_out
                self._expected = len(self._pictures) + len(items)
        except BaseException:
            source.close()
            raise
        return self._contents(source, items)

    def _items(self, source: "_BoundedZip", label: str | None) -> tuple[list[Item], list[LeftOut]]:
        if label is not None:
            listing, left_out = list_files(source, TITLE)
            return [Item("", label, name) for name in listing.pictures], left_out
        dataset = Dataset(TITLE, source=source)
        _require_classes(dataset)
        self._exported, self._layout = dataset.exported, dataset.layout
        return in_turns(dataset.items), list(dataset.left_out)

    def _contents(self, source: "_BoundedZip", items: list[Item]) -> Contents:
        try:
            for item in items:
                try:
                    data = source.read(item.name, PICTURE_BYTES)
                except InputError as error:
                    self._result.failed.append(LeftOut(item.name, str(error)))
                    continue
                yield item.name, data, item.label
        finally:
            # also when the client has gone: otherwise the upload would wait for ever
            self._expected = 0
            source.close()

    def _add_table(self, name: str, data: bytes) -> ReceivedFile:
        if len(data) > TABLE_BYTES or len(self._tables) >= MOST_TABLES:
            return self._leave_out(name, "not a picture")
        self._tables[name] = data
        self._exported = self._exported or is_exported_table(name, data)
        return ReceivedFile(name, "kept")

    def _leave_out(self, name: str, reason: str) -> ReceivedFile:
        self._left_out.append(LeftOut(name, reason))
        return ReceivedFile(name, "left_out", reason)

    def _add_picture(self, name: str, data: bytes, label: str | None, exported: bool) -> ReceivedFile:
        try:
            picture = self._outside.prepare_exported(data) if exported else self._outside.prepare(data)
        except UnreadablePicture as error:
            self._result.failed.append(LeftOut(name, str(error)))
            return ReceivedFile(name, "unreadable", str(error))
        mark = thumbnail_mark(picture.thumbnail)
        classes = self._known.setdefault(mark, set())
        if label not in classes:  # else it is not encoded in vain
            embedding = self._outside.encode(picture.image).tobytes()
            self._pictures.append(self._file.add(name, label, mark, embedding, picture.thumbnail))
        # without a class it cannot be told yet whether the picture is a duplicate: `plan` decides
        if label is None or is_new(Item("", label, name), classes, self._result):
            return ReceivedFile(name, "kept")
        return ReceivedFile(name, "duplicate", "stored already, or sent twice")

    # Teaching

    def plan(self) -> UploadPlan:
        """Return what would be taught. Raises UploadGone."""
        with self._guard:
            self._check_open()
            named = [one for one in self._pictures if one.label is not None]
            result = BulkResult(duplicates=[*self._result.duplicates], ambiguous=[*self._result.ambiguous])
            left_out, layout, problem = [*self._left_out], self._layout, ""
            if len(named) < len(self._pictures):
                try:
                    dataset = self._recognised()
                    layout = dataset.layout
                    left_out += dataset.left_out
                    named += self._new(dataset, result)
                except InputError as error:
                    problem = str(error)
            if not named and not problem and not result.duplicates:
                problem = "no picture was sent that can be taught"
            return UploadPlan(
                layout,
                named,
                result.duplicates,
                result.ambiguous,
                [*self._result.failed],
                left_out,
                problem,
                len(self._pictures) + len(self._result.duplicates) + len(self._result.failed),
                self._expected,
            )

    def _recognised(self) -> Dataset:
        names = [one.name for one in self._pictures if one.label is None]
        dataset = Dataset(TITLE, source=StagedSource(names, self._tables))
        _require_classes(dataset)
        return dataset

    def _new(self, dataset: Dataset, result: BulkResult) -> list[StagedPicture]:
        """Return the pictures with the classes of their layout, without duplicates."""
        pictures = {one.name: one for one in self._pictures if one.label is None}
        # a copy, because `plan` may be called often, and `is_new` notes each picture
        known: dict[bytes, set[str]] = {}
        found = []
        for item in in_turns(dataset.items):
            mark = pictures[item.name].mark
            if is_new(item, known.setdefault(mark, set(self._known.get(mark, ()))), result):
                found.append(pictures[item.name]._replace(label=check_label(item.label)))
        return found

    def examples(self, plan: UploadPlan, source: str) -> tuple[list[NewExample], Callable[[int], bytes]]:
        """Return the examples of a plan, and a function that reads their thumbnails. Raises UploadGone."""
        with self._guard:
            self._check_open()
            examples = [
                NewExample(self._file.embedding(one), one.label or "", 0, f"{one.name} ({source})")
                for one in plan.pictures
            ]

        def thumbnail(index: int) -> bytes:
            with self._guard:
                self._check_open()
                return self._file.thumbnail(plan.pictures[index])

        return examples, thumbnail

    def close(self) -> None:
        """Forget the pictures; may be repeated."""
        with self._guard:
            self._closed = True
            self._file.close()

    def _check_open(self) -> None:
        if self._closed:
            raise _gone(self.id)


class Uploads(Closing):
    """The open uploads; safe to use from any thread."""

    def __init__(self, folder: Path, learner: Learner, outside: OutsidePictures, clock: Clock) -> None:
        self._folder = folder
        self._learner = learner
        self._outside = outside
        self._clock = clock
        self._guard = threading.Lock()
        self._open: dict[int, Upload] = {}

    def __len__(self) -> int:
        """Return how many are open."""
        return len(self._open)

    def open(self) -> Upload:
        """Open an upload. Raises InputError if MOST_OPEN are open, and StateNotWritable."""
        self.sweep()
        with self._guard:
            if len(self._open) >= MOST_OPEN:
                raise InputError(f"{MOST_OPEN} uploads are open: wait until one of them is taught or closed")
            # random: a client cannot guess another client's upload; 48 bits are exact in JavaScript's numbers
            upload = Upload(secrets.randbits(48) + 1, self._folder, self._learner, self._outside)
            upload.used_ns = self._clock.monotonic_ns()
            self._open[upload.id] = upload
        return upload

    def find(self, number: int) -> Upload:
        """Return an open upload. Raises UploadGone."""
        with self._guard:
            upload = self._open.get(number)
            if upload is None:
                raise _gone(number)
            upload.used_ns = self._clock.monotonic_ns()
            return upload

    def drop(self, number: int) -> None:
        """Close an upload. Raises UploadGone."""
        with self._guard:
            upload = self._open.pop(number, None)
        if upload is None:
            raise _gone(number)
        upload.close()

    def sweep(self) -> None:
        """Close the uploads that were left alone for IDLE_NS."""
        now_ns = self._clock.monotonic_ns()
        with self._guard:
            left = [one for one in self._open.values() if now_ns - one.used_ns > IDLE_NS]
            for one in left:
                del self._open[one.id]
        # outside the guard: closing waits for a picture that is being added
        for one in left:
            one.close()

    def close(self) -> None:
        """Close all of them."""
        with self._guard:
            left = list(self._open.values())
            self._open.clear()
        for one in left:
            one.close()


class _BoundedZip(ZipSource):
    """A zip of which files are read up to the size of a table, unless the caller says more."""

    def read(self, name: str, most: int = TABLE_BYTES) -> bytes:
        return super().read(name, most)


def _gone(number: int) -> UploadGone:
    return UploadGone(f"upload {number} was taught, closed, or left alone for {IDLE_NS // NS_PER_S} s: send it again")


def _require_classes(dataset: Dataset) -> None:
    if len(dataset.classes) == 1:
        raise InputError(
            f"all pictures would be of the class {dataset.classes[0]!r}: to teach one class, drop them on it, or name "
            "it as the label; else send a folder with one folder for each class"
        )
