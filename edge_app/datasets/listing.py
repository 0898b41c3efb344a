"""Finds the pictures among files, and gives the reasons for leaving out the others."""

import re
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import NamedTuple

from edge_app.datasets.pictures import START_BYTES, picture_format, read_start
from edge_app.errors import InputError

_PICTURES = ".avif .bmp .dib .gif .heic .heif .hif .jfif .jif .jpe .jpeg .jpg .mpo .png .tif .tiff .webp"
_OTHERS = """
.7z .avi .cbor .csv .db .gz .html .ini .ipynb .json .jsonl .labels .lnk .log .mat .md .mkv .mov .mp3 .mp4 .npy .npz
.parquet .pdf .pickle .pkl .py .rar .tar .tfrecord .toml .tsv .txt .url .wav .xml .yaml .yml .zip
"""
_CLUTTER = "$recycle.bin @eadir __macosx desktop.ini ehthumbs.db thumbs.db"
PICTURE_SUFFIXES = frozenset(_PICTURES.split())
"""Files with these suffixes are taken for pictures; one that is damaged is reported when it is decoded."""
OTHER_SUFFIXES = frozenset(_OTHERS.split())
"""Files with these suffixes are not pictures. All others are recognised by their content."""
CLUTTER = frozenset((*_CLUTTER.split(), "icon\r", "system volume information"))
"""Files and folders that macOS, Windows and network storage add, in lower case."""
MOST_NAMED = 3


class LeftOut(NamedTuple):
    """A file that is not used."""

    name: str
    reason: str


def is_clutter(name: str) -> bool:
    """Whether a file or folder is hidden (`.DS_Store`, `._IMG_1.jpg`) or one of CLUTTER."""
    return name.startswith(".") or name.lower() in CLUTTER


def is_picture(name: str, start: Callable[[], bytes]) -> bool:
    """Whether a file is a picture: by its suffix if that is known, else by the first START_BYTES that `start` reads."""
    suffix = suffix_of(name)
    # by the name alone: opening every file of a large set would take minutes
    if suffix in PICTURE_SUFFIXES or suffix in OTHER_SUFFIXES:
        return suffix in PICTURE_SUFFIXES
    try:
        return picture_format(start()[:START_BYTES]) is not None
    except InputError:
        return False


def suffix_of(name: str) -> str:
    """Return the suffix of a file name in lower case, with its dot; empty if there is none."""
    return Path(name).suffix.lower()


def list_pictures(folder: Path) -> list[Path]:
    """Return the pictures of a folder in the natural order of their names (2.jpg before 10.jpg). Raises OSError."""
    found = [
        path
        for path in folder.iterdir()
        if not is_clutter(path.name) and not path.is_dir() and is_picture(path.name, partial(read_start, path))
    ]
    return sorted(found, key=lambda path: natural(path.name))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a key that sorts names with numbers as people do."""
    # pairs of equal types, because Python does not compare numbers with texts
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name.lower())]


def summarise(left_out: Iterable[LeftOut]) -> list[str]:
    """Return one sentence per reason: how many files, and the names of the first ones."""
    reasons: dict[str, list[str]] = {}
    for name, reason in left_out:
        reasons.setdefault(reason, []).append(name)
    return [
        f"{'1 file' if len(names) == 1 else f'{len(names)} files'} left out ({reason}): "
        + ", ".join(names[:MOST_NAMED])
        + (", ..." if len(names) > MOST_NAMED else "")
        for reason, names in reasons.items()
    ]
