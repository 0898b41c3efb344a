"""The contents of a data set: its files, and the classes of its pictures."""

import re
from typing import NamedTuple

from edge_app.datasets.listing import LeftOut
from edge_app.datasets.sources import Source

TRAIN_NAMES = ("train", "training", "train_set", "training_set", "trainset")
TEST_NAMES = ("test", "testing", "test_set", "testing_set", "testset")
VALIDATION_NAMES = ("val", "valid", "validation", "validation_set", "val_set", "dev", "eval")
SPLIT_NAMES = frozenset((*TRAIN_NAMES, *TEST_NAMES, *VALIDATION_NAMES, "all"))
"""Names of split folders, in lower case."""
CONTAINER_NAMES = frozenset(
    ("annotations", "data", "dataset", "datasets", "image", "images", "img", "imgs", "jpegimages", "labels")
)
"""Names of folders that hold a data set or a part of it, in lower case; none of them is the name of a class."""


class Item(NamedTuple):
    """A picture with its class."""

    split: str
    """Name of the split's folder; "" if the data set has none."""
    label: str
    """The class."""
    name: str
    """Path inside the data set, with forward slashes."""


class Listing(NamedTuple):
    """The files of a data set, sorted by what they are."""

    title: str
    """The data set's path, for messages."""
    source: Source
    pictures: tuple[str, ...]
    others: tuple[str, ...]
    """Files that are no pictures."""


class DatasetLayout(NamedTuple):
    """The classes of a data set."""

    kind: str
    """For people."""
    items: tuple[Item, ...]
    left_out: tuple[LeftOut, ...] = ()
    """Pictures without a class."""
    class_depth: int | None = None
    """Parts of the path of a class's folder; None if classes are not folders."""
    explicit: bool = False
    """Whether edge-app itself wrote down the classes: any name is one, and the pictures are an encoder's input."""


def is_split(name: str) -> bool:
    """Whether a folder is called like a split."""
    # "Train Set" and "train-set" are written as well
    return re.sub(r"[ -]", "_", name.lower()) in SPLIT_NAMES
