"""Corrections as new labels of the stored examples; None forgets an example."""

from collections.abc import Sequence

from edge_app.errors import InputError
from edge_app.labels import check_label, check_new_label, unknown_label
from edge_app.storage.store import Store

Labels = dict[int, str | None]


def target(store: Store, label: str) -> str:
    """Return the name of a class that examples are given, in its stored form. Raises InputError."""
    label = check_label(label)
    # a class called ".." may exist from before such names were rejected, and can still be given examples
    return label if store.oldest(label) else check_new_label(label)


def relabel(store: Store, example: int, label: str) -> Labels:
    """Give one example another class. Raises InputError."""
    label = target(store, label)
    if store.example(example).label == label:
        raise InputError(f"example {example} is of class {label!r} already")
    return {example: label}


def relabel_examples(store: Store, examples: Sequence[int], label: str) -> Labels:
    """Give examples another class; those that have it already are left out. Raises InputError."""
    label = target(store, label)
    # dict.fromkeys: an example that is named twice counts once
    changed = [example for example in dict.fromkeys(examples) if store.example(example).label != label]
    if not changed:
        raise InputError(f"the examples named are of class {label!r} already, or none was named")
    return dict.fromkeys(changed, label)


def forget_examples(store: Store, examples: Sequence[int]) -> Labels:
    """Forget examples. Raises InputError."""
    if not examples:
        raise InputError("no example was named: give the numbers of those to forget")
    # store.example: raises for a number that does not exist
    return {store.example(example).id: None for example in examples}


def forget_example(store: Store, example: int) -> Labels:
    """Forget one example. Raises InputError."""
    return {store.example(example).id: None}


def forget_class(store: Store, label: str) -> Labels:
    """Forget a class. Raises UnknownLabel."""
    return dict.fromkeys(members(store, label))


def rename_class(store: Store, old: str, new: str) -> Labels:
    """Give a class a name that is not in use. Raises UnknownLabel, InputError."""
    new = check_new_label(new)
    examples = members(store, old)
    if store.oldest(new):
        raise InputError(f"class {new!r} exists already: merge the two (`edge-app merge`), or use another name")
    return dict.fromkeys(examples, new)


def merge_classes(store: Store, into: str, other: str) -> Labels:
    """Move the examples of class `other` to class `into`. Raises UnknownLabel, InputError."""
    members(store, into)
    if into == other:
        raise InputError(f"class {into!r} cannot be merged with itself")
    return dict.fromkeys(members(store, other), into)


def members(store: Store, label: str) -> list[int]:
    """Return the examples of a class. Raises UnknownLabel when it has none."""
    examples = store.oldest(label, -1)
    if not examples:
        raise unknown_label(label, store.classes())
    return examples
