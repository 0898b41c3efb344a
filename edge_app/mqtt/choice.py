"""The class that `teach` without a label means."""

from collections.abc import Sequence

from edge_app.control import Control
from edge_app.labels import unknown_label

KEY = "mqtt choice"


class Choice:
    """The chosen class. It follows when the class is renamed or merged, and is kept over a restart.

    Before anyone has chosen it is the first class. While the chosen class does not exist (forgotten, or its import
    undone) nothing is chosen: no other class is taught instead.
    """

    def __init__(self, control: Control) -> None:
        self._control = control

    @property
    def label(self) -> str | None:
        """The chosen class, None if there is none. Reads the store, which may wait for the disk."""
        return self.among([report.label for report in self._control.classes()])

    def among(self, labels: Sequence[str]) -> str | None:
        """Return the chosen one of the stored classes, None if there is none."""
        chosen = self._control.references.find(KEY)
        if chosen is None:
            return labels[0] if labels else None
        # never another class in its place: a press would teach the wrong one
        return chosen if chosen in labels else None

    def choose(self, label: str) -> str:
        """Choose a stored class. Raises UnknownLabel."""
        known = [report.label for report in self._control.classes()]
        if label not in known:
            raise unknown_label(label, known)
        self._control.references.set(KEY, label)
        return label
