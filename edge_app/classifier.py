"""Teaching and classifying from a program of one's own, without a camera (docs/python.md)."""

import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Self

from edge_app.closing import Closing
from edge_app.errors import InputError
from edge_app.files import expanded
from edge_app.labels import check_label
from edge_app.learner import Learner
from edge_app.learner.manifest import find_manifest
from edge_app.learner.pictures import EncodedPicture, Picture, PictureEncoder
from edge_app.learner.samples import Sample
from edge_app.messages import Decision
from edge_app.pipeline.accuracy import ScoredExample, judge
from edge_app.pipeline.calibrator import DecisionCalibrator, Verdict
from edge_app.pipeline.coach import Coach, SimilarExample
from edge_app.pipeline.events import Taught
from edge_app.rejection import DEFAULT, check_strictness
from edge_app.storage.folder import require_state
from edge_app.storage.records import Action, Example

OCTAVE = 1024
"""Units of a novelty."""
SOURCE = "Python"
"""Stored with an example that a program taught, unless it says otherwise."""


class Classified(NamedTuple):
    """The decision on one picture."""

    label: str | None
    """The class; None: unknown."""
    confidence: float
    """Probability in 0..1 that the label is right, if the picture shows a taught class; 0 for unknown."""
    nearest: str | None
    """The class that `label` would be with strictness 0; None: no column spiked."""
    novelty: float
    """Distance from what was taught, in octaves."""
    decision: Decision
    """The classifier's decision, with the spikes of all columns."""

    @classmethod
    def of(cls, decision: Decision, verdict: Verdict) -> Self:
        """Return a decision with what people are told of it."""
        return cls(verdict.label, verdict.confidence, decision.label, decision.novelty / OCTAVE, decision)


class Classifier(Closing):
    """Teaches pictures to a state folder, and classifies them; a context manager, safe to use from any thread.

    One process writes a state folder: while a service or another `Classifier` does, open it with `read_only`.
    Every method raises EdgeAppError for what it can explain, and InputError once closed.
    """

    def __init__(
        self,
        state: str | Path,
        *,
        model: str | None = None,
        threads: int = 1,
        strictness: float = DEFAULT,
        read_only: bool = False,
    ) -> None:
        """Open the state folder `state`; it is created where it is missing, but not with `read_only`.

        `model`: name of the encoder, or the path of its manifest; None: the state's. `threads`: processor cores for
        one picture. `strictness`: when a picture is "unknown", from 0 (only if no column spiked) to 1 (unless it
        looks just like the examples).
        Raises InputError, ModelNotFound, ModelMismatch, RuntimeMissing, StateBusy, StateCorrupt, StateNotWritable.
        """
        self._strictness = check_strictness(strictness)
        folder = expanded(state)
        if read_only:
            require_state(folder)
        # before the learner takes the lock of the folder
        manifest = find_manifest(folder, model)
        # the encoder and its buffers serve one thread
        self._encoding = threading.Lock()
        self._calibrator = DecisionCalibrator()
        self._closed = False
        # before the learner: a missing model must not create a state folder
        self._encoder = PictureEncoder(manifest, threads=threads)
        try:
            self._learner = Learner.open(folder, manifest, threads=threads, read_only=read_only)
        except BaseException:
            self._encoder.close()
            raise
        self._coach = Coach(self._learner.spike_counts_of)
        self._follow()

    # Deciding

    def classify(self, picture: Picture) -> Classified:
        """Return the decision on a picture: a file's path or bytes, or RGB values, (height, width, 3) uint8."""
        decision = self._use().classify(self._encode(picture).embedding)
        return Classified.of(decision, self._calibrator.verdict(decision, self._strictness))

    def most_similar(self, picture: Picture, limit: int = 3) -> list[SimilarExample]:
        """Return the taught examples that a picture resembles most, the most similar first: why it is decided so."""
        return self._coach.most_similar(self._use().spike_counts(self._encode(picture).embedding), limit)

    # Teaching and correcting

    def teach(self, label: str, *pictures: Picture, source: str = SOURCE) -> list[Taught]:
        """Teach pictures as examples of a class, all or none, as one action; a new label is a new class.

        They are on the disk when this returns. Returns one event for each picture, with the decision before it was
        learnt.
        """
        learner, label = self._use(), check_label(label)
        self._coach.load(None)
        # all before the first is stored: an unreadable picture leaves nothing taught
        shown = [self._encode(picture) for picture in pictures]
        new = label not in learner.classes()
        found = learner.teach_many([Sample(one.embedding, one.thumbnail) for one in shown], label, source=source)
        events = []
        for index, (one, picture) in enumerate(zip(found, shown, strict=True)):
            # before its outcome is counted: it must not vouch for itself
            confidence, now = self._calibrator.confidence(one.before), time.time_ns()
            first = new and index == 0  # its class could not be decided yet
            self._calibrator.taught(ScoredExample(label, one.before.label, None if first else one.prediction))
            counts = learner.spike_counts(picture.embedding)
            advice = self._coach.taught(one.example_id, label, now, counts, picture.image, alone=len(shown) == 1)
            events.append(Taught(one.example_id, label, one.before.label, confidence, source, None, now, advice))
        return events

    def undo(self) -> Action:
        """Take back the last action, whatever it was, and return it. Raises InputError when there is none."""
        return self._corrected(self._use().undo())

    def relabel(self, examples: Sequence[int], label: str) -> Action:
        """Give examples, by their numbers, another class, as one action."""
        return self._corrected(self._use().relabel_examples(examples, check_label(label)))

    def forget(self, label: str) -> Action:
        """Forget a class with all its examples; `undo` brings it back. Raises UnknownLabel."""
        return self._corrected(self._use().forget_class(label))

    def rename(self, label: str, to: str) -> Action:
        """Give a class a name that no other class has. Raises UnknownLabel."""
        return self._corrected(self._use().rename_class(label, to))

    def merge(self, label: str, into: str) -> Action:
        """Move the examples of the class `label` to the class `into`. Raises UnknownLabel."""
        return self._corrected(self._use().merge_classes(into, label))

    # Reading

    def classes(self) -> dict[str, int]:
        """Return the number of examples of each class, classes in the order of their first example."""
        return self._use().classes()

    def examples(self, label: str | None = None) -> list[Example]:
        """Return the stored examples in the order in which they were taught, all or of one class."""
        return self._use().examples(label)

    def close(self) -> None:
        """Save the network and release the folder; what was taught is on the disk already."""
        self._closed = True
        # waits for a picture that is being encoded
        with self._encoding:
            self._encoder.close()
        self._learner.close()

    # Inside

    def _use(self) -> Learner:
        if self._closed:
            raise InputError("the classifier is closed: open another one")
        return self._learner

    def _encode(self, picture: Picture) -> EncodedPicture:
        with self._encoding:
            self._use()
            return self._encoder.read(picture)

    def _corrected(self, action: Action) -> Action:
        self._follow()
        return action

    def _follow(self) -> None:
        stored = self._learner.examples()
        self._calibrator.follow(judge(stored))
        self._coach.follow(stored)
