"""Ids of examples and visits in a request."""

from collections.abc import Sequence

from edge_app.errors import InputError

MAX_IDS = 200
"""Examples or visits that one request may name."""


def checked_ids(ids: Sequence[int]) -> tuple[int, ...]:
    """Return ids, each once, in the order given. Raises InputError for none, or for too many."""
    found = tuple(dict.fromkeys(ids))
    if not 1 <= len(found) <= MAX_IDS:
        raise InputError(f"got {len(found)} ids, expected 1 to {MAX_IDS}")
    return found
