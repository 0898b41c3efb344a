"""Limits on a state folder, and the policy when it is full."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from edge_app.config import StateConfig
from edge_app.errors import StateNotWritable
from edge_app.storage.records import NewExample
from edge_app.storage.store import Store


def make_room(
    store: Store, limits: StateConfig, label: str, snapshots_bytes: int, needed_bytes: int = 0, count: int = 1
) -> list[int]:
    """Return the examples that must be forgotten before `count` of class `label` can be stored; none as a rule.

    A full folder first loses, for good, what is kept for undo only. Raises StateNotWritable when the policy is to
    refuse, or when there is nothing left to forget.
    """
    # first: it makes nothing go
    check_classes(store, limits, [label])
    victims = _over_class_cap(store, limits, label, count)
    spent = store.used_bytes() + snapshots_bytes + needed_bytes
    if spent <= limits.disk_bytes:
        return victims
    forgotten = store.forgotten()
    if forgotten:
        store.purge(forgotten)
        spent = store.used_bytes() + snapshots_bytes + needed_bytes
    if spent <= limits.disk_bytes or len(victims) >= count:
        return victims
    # without classes there is nothing to forget: the snapshots alone are too large
    if limits.when_full == "refuse" or not store.classes():
        what = "this example" if count == 1 else f"these {count} examples"
        raise StateNotWritable(
            f"{store.path.parent} is full: {spent} bytes with {what}, the cap is {limits.disk_bytes} "
            f"(state.disk_mb); {_ways_out(store.path.parent)}"
        )
    return [*victims, *_of_the_largest(store, count - len(victims), victims)]


def room_for_many(store: Store, limits: StateConfig, news: Sequence[NewExample], snapshots_bytes: int) -> None:
    """Raise StateNotWritable unless all of `news` fit; an import makes nothing else go, whatever the policy."""
    check_classes(store, limits, [new.label for new in news])
    folder = store.path.parent
    stored = store.classes()
    for label, count in Counter(new.label for new in news).items():
        if stored.get(label, 0) + count > limits.examples_per_class:
            raise StateNotWritable(
                f"class {label!r} would hold {stored.get(label, 0) + count} examples, the cap is "
                f"{limits.examples_per_class} (state.examples_per_class); {_ways_out(folder)}"
            )
    needed = sum(len(new.embedding) + len(new.thumbnail or b"") for new in news)
    spent = store.used_bytes() + snapshots_bytes + needed
    if spent > limits.disk_bytes:
        raise StateNotWritable(
            f"{folder} would hold {spent} bytes, the cap is {limits.disk_bytes} (state.disk_mb); {_ways_out(folder)}"
        )


def check_classes(store: Store, limits: StateConfig, labels: Iterable[str]) -> None:
    """Raise StateNotWritable when there would be too many classes with these: each makes learning slower."""
    stored = store.classes()
    new = [label for label in dict.fromkeys(labels) if label not in stored]
    if new and len(stored) + len(new) > limits.classes:
        raise StateNotWritable(
            f"class {new[0]!r} is new, and with it there would be {len(stored) + len(new)} classes: the limit is "
            f"{limits.classes} (state.classes). Forget or merge some, or raise the limit. Nothing was changed"
        )


def _over_class_cap(store: Store, limits: StateConfig, label: str, count: int) -> list[int]:
    stored = store.classes().get(label, 0)
    excess = stored + count - limits.examples_per_class
    if excess <= 0:
        return []
    # more than a class may hold at once would replace one another
    if limits.when_full == "refuse" or count > limits.examples_per_class:
        more = "" if count == 1 else f", {count} would come"
        raise StateNotWritable(
            f"class {label!r} is full: {stored} examples are stored{more}, the cap is {limits.examples_per_class} "
            f"(state.examples_per_class); {_ways_out(store.path.parent)}"
        )
    return store.oldest(label, excess)


def _of_the_largest(store: Store, count: int, leaving: Sequence[int]) -> list[int]:
    """Return `count` further examples, each the oldest of the class that is the largest when its turn comes."""
    left: dict[str, list[int]] = {}
    for example in store.examples():
        if example.id not in leaving:
            left.setdefault(example.label, []).append(example.id)
    found: list[int] = []
    while len(found) < count and left:
        # the largest class loses least by one example
        largest = max(left, key=lambda name: len(left[name]))
        found.append(left[largest].pop(0))
        if not left[largest]:
            del left[largest]
    return found


def _ways_out(folder: Path) -> str:
    return (
        f"forget some (`edge-app examples --state {folder}`, `edge-app forget`), raise the cap, or let the oldest go "
        '(when_full = "replace-oldest"). Nothing was changed'
    )
