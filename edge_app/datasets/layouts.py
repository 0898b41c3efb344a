"""Recognises the layout of a data set by its files.

| layout | recognised by |
|---|---|
| edge-app | `examples.csv`, as `edge-app export --as folders` writes it |
| Edge Impulse | `info.labels` |
| Teachable Machine | names CLASS-!-N.jpg |
| table | a CSV or TSV file with a column of paths and one of classes, or one column for each class |
| Frigate | `dataset/CLASS/*` beside a flat `train/` |
| SPLIT/CLASS/* | two levels of folders; the upper ones are called like splits, or hold the same classes |
| CLASS/* | one level of folders |

Sets for object detection have boxes instead of one class for each picture, and are refused. So is a class that would be
called like a split or a container (train, images, dataset): the layout is then another one than it seems.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from edge_app.datasets.contents import CONTAINER_NAMES, DatasetLayout, Item, Listing, is_split
from edge_app.datasets.detection import refuse_detection
from edge_app.datasets.exported import read_exported
from edge_app.datasets.listing import LeftOut
from edge_app.datasets.tables import NO_TABLE, TABLES, read_edge_impulse, read_tables
from edge_app.errors import InputError
from edge_app.text import composed

EXPECTED = "expected one folder for each class (CLASS/*.jpg), or SPLIT/CLASS/*.jpg"
TEACHABLE = "-!-"
"""Between class and number in the names of a Teachable Machine project."""


def recognise(listing: Listing) -> DatasetLayout:
    """Return the classes of a data set. Raises InputError, with the reason and the way out."""
    # those that say what they are come first: a guess from folders may be wrong
    found = read_exported(listing) or read_edge_impulse(listing)
    if found is None:
        # before tables and folders, which such a set also has
        refuse_detection(listing)
        found = _teachable_machine(listing) or read_tables(listing) or _frigate(listing) or _folders(listing)
    if not found.explicit:
        _check_names(listing, found.items)
    return found._replace(items=tuple(sorted(item._replace(label=composed(item.label)) for item in found.items)))


def _teachable_machine(listing: Listing) -> DatasetLayout | None:
    """A project.tm: the pictures CLASS-!-N.jpg of all classes side by side."""
    items = []
    for name in listing.pictures:
        label, mark, _ = name.rpartition("/")[2].partition(TEACHABLE)
        if not mark or not label:
            return None
        items.append(Item("", label, name))
    return DatasetLayout("Teachable Machine project", tuple(items)) if items else None


def _frigate(listing: Listing) -> DatasetLayout | None:
    """Frigate's classification model: what was sorted is in dataset/CLASS/, what was not in train/."""
    tops = defaultdict(list)
    base = _wrapper(listing.pictures)
    for name in listing.pictures:
        parts = name.split("/")[base:]
        tops[parts[0].lower()].append((parts, name))
    if set(tops) != {"dataset", "train"} or any(len(parts) < 3 for parts, _ in tops["dataset"]):
        return None
    if any(len(parts) > 2 for parts, _ in tops["train"]):
        return None
    items = tuple(Item("", parts[1], name) for parts, name in tops["dataset"])
    return DatasetLayout("Frigate", items, tuple(LeftOut(name, "not sorted into a class") for _, name in tops["train"]))


def _folders(listing: Listing) -> DatasetLayout:
    """SPLIT/CLASS/* and CLASS/*: what most of the pictures follow."""
    paths = [(_without_doubles(name), name) for name in listing.pictures]
    if not paths:
        raise InputError(f"data set {listing.title}: no picture in it; {EXPECTED}")
    depths = Counter(len(parts) for parts, _ in paths)
    # most pictures decide; stray ones are left out
    usual = max(depths, key=lambda depth: (depths[depth], -depth))
    base = 0
    # a wrapping folder, as archives have, is no level of its own
    while usual - base > 3 and len({parts[base] for parts, _ in paths if len(parts) > base}) == 1:
        base += 1
    has_splits = usual - base >= 3
    items, left_out = [], []
    for parts, name in paths:
        inner = parts[base:]
        if len(inner) < (3 if has_splits else 2):
            left_out.append(LeftOut(name, "outside the class folders"))
        else:
            items.append(Item(inner[0], inner[1], name) if has_splits else Item("", inner[0], name))
    if not items:
        table = next((name for name in listing.others if name.lower().endswith(TABLES)), None)
        unused = f". {table} is not used: {NO_TABLE}" if table else ""
        raise InputError(
            f"data set {listing.title}: its {len(paths)} pictures are in no class folders; {EXPECTED}{unused}"
        )
    if has_splits:
        _check_splits(listing, items)
    depth = base + (2 if has_splits else 1) if all("/".join(parts) == name for parts, name in paths) else None
    several = len({item.split for item in items}) > 1
    return DatasetLayout("SPLIT/CLASS folders" if several else "CLASS folders", tuple(items), tuple(left_out), depth)


def _without_doubles(name: str) -> list[str]:
    """Return the parts of a path without a folder that only repeats the name of the one around it."""
    parts = name.split("/")
    return [part for at, part in enumerate(parts) if at == 0 or at == len(parts) - 1 or part != parts[at - 1]]


def _check_splits(listing: Listing, items: Iterable[Item]) -> None:
    """Refuse two levels of folders that are not splits with classes."""
    classes: dict[str, set[str]] = defaultdict(set)
    for item in items:
        classes[item.split].add(composed(item.label))
    if len(classes) == 1 or all(is_split(name) for name in classes):
        return
    shared = Counter(label for labels in classes.values() for label in labels)
    # the same classes below several folders: these are splits, whatever they are called
    if all(any(shared[label] > 1 for label in labels) for labels in classes.values()):
        return
    examples = ", ".join(f"{split}/{min(labels)}" for split, labels in sorted(classes.items())[:3])
    raise InputError(
        f"data set {listing.title}: two levels of folders ({examples}); the upper ones are neither called like splits "
        "(train, test) nor do they hold the same classes. Name one of them, or put all classes side by side"
    )


def _check_names(listing: Listing, items: Sequence[Item]) -> None:
    for label in sorted({item.label for item in items}):
        if is_split(label) or label.lower() in CONTAINER_NAMES:
            name = next(item.name for item in items if item.label == label)
            raise InputError(
                f"data set {listing.title}: {name} would be of the class {label!r}, which is the name of a split or a "
                f"container; {EXPECTED}. If it is a class, rename the folder"
            )


def _wrapper(names: Sequence[str]) -> int:
    """Return how many folders are around all pictures."""
    paths = [name.split("/")[:-1] for name in names]
    base = 0
    while paths and all(len(parts) > base + 1 for parts in paths) and len({parts[base] for parts in paths}) == 1:
        base += 1
    return base
