"""What a correction means for the stored examples: the new label of each one that it touches, None to forget it."""

from edge_app.errors import InputError, UnknownLabel
from edge_app.storage.labels import check_label
from edge_app.storage.store import Store

Labels = dict[int, str | None]


def relabel(store: Store, example: int, label: str) -> Labels:
    """One example belongs to another class. Raises InputError."""
    label = check_label(label)
    if store.example(example).label == label:
        raise InputError(f"example {example} is of class {label!r} already")
    return {example: label}


def forget_example(store: Store, example: int) -> Labels:
    """One example goes. Raises InputError."""
    return {store.example(example).id: None}


def forget_class(store: Store, label: str) -> Labels:
    """A class goes. Raises UnknownLabel."""
    return dict.fromkeys(members(store, label))


def rename_class(store: Store, old: str, new: str) -> Labels:
    """A class gets a name that no other has. Raises UnknownLabel, InputError."""
    new = check_label(new)
    examples = members(store, old)
    if store.oldest(new):
        raise InputError(f"class {new!r} exists already: merge the two (`edge-app merge`), or use another name")
    return dict.fromkeys(examples, new)


def merge_classes(store: Store, into: str, other: str) -> Labels:
    """The examples of one class belong to another. Raises UnknownLabel, InputError."""
    members(store, into)
    if into == other:
        raise InputError(f"class {into!r} cannot be merged with itself")
    return dict.fromkeys(members(store, other), into)


def members(store: Store, label: str) -> list[int]:
    """Return the examples of a class. Raises UnknownLabel when it has none."""
    examples = store.oldest(label, -1)
    if not examples:
        raise UnknownLabel(f"there is no class {label!r}; known are: {', '.join(store.classes()) or 'none'}")
    return examples
