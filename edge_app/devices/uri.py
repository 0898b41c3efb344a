"""Device URIs: `sim:seed=3,fps=30`, `dir:PATH?fps=5`, `http://host/stream?id=3#timeout=2`, `keyboard:1=cup,2=cat`."""

import math
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

from edge_app.errors import InputError

Reader = Callable[[str], Any]

_PASSWORD = re.compile(r"(://[^/\s:@?#]*):(?:[^/\s?#]*@|(?!\d+(?:[/?#\s]|$))\S*@)")
"""The password between user and host, also one that contains a "/"."""
_NAMED = re.compile(
    r"""([\w.-]*(?:pas|pwd|pw|token|key|secret)[\w.-]*\s?=\s?)(?!\*\*\*)("[^"]*"|'[^']*'|[^&;#\s]+)""", re.IGNORECASE
)
"""A secret by its name, in a query, in a path (some cameras want `/user=me&password=x`) or in a GStreamer element."""


def without_password(text: str) -> str:
    """Return an address, or a text that holds addresses, with *** for every password, token and key in it.

    Use it for everything that is logged, sent or raised. A text without "://" is returned as it is.
    """
    if "://" not in text:
        return text
    return _NAMED.sub(r"\1***", _PASSWORD.sub(r"\1:***@", text))


def split_scheme(uri: str) -> tuple[str, str]:
    """Return scheme and rest; raises InputError when there is no scheme."""
    scheme, colon, rest = uri.partition(":")
    if not colon or not scheme:
        raise InputError(
            f"{without_password(uri)!r} is not a device URI: expected SCHEME:DETAILS, for example sim:seed=3 or "
            "dir:pictures"
        )
    return scheme.lower(), rest


OPTION_MARKS = {"sim": ":"} | dict.fromkeys(("gst", "http", "https", "rtsp", "rtsps"), "#")
"""The character before the options, where it is not "?": addresses and pipelines may contain a "?"."""


def split_options(uri: str) -> tuple[str, str, str]:
    """Split a camera's URI into what precedes the options, the character before them, and their text.

    Both are empty without options. Raises InputError when there is no scheme.
    """
    mark = OPTION_MARKS.get(split_scheme(uri)[0], "?")
    # the first mark: an option's value may contain another
    return uri.partition(mark)


def split_path(uri: str, known: Collection[str] | None = None) -> tuple[str, str]:
    """Return path and option text of SCHEME:PATH?OPTIONS; raises InputError when the path is empty.

    With the `known` options' names, a "?" that is not followed by NAME=VALUE or such a name is a part of the path.
    """
    scheme, rest = split_scheme(uri)
    # a file's name may contain a "?"
    path, mark, text = rest.rpartition("?") if known is not None else rest.partition("?")
    names = [part.partition("=")[0] for part in text.split(",")]
    options = all(map(str.isidentifier, names)) and ("=" in text or not set(names).isdisjoint(known or ()))
    options = options and "/" not in text  # no option's value has one
    if known is not None and not (mark and options):
        path, text = rest, ""
    if not path:
        raise InputError(f"{uri!r} names no path: expected {scheme}:PATH")
    return path, text


def read_options(uri: str, text: str, known: Mapping[str, Reader]) -> dict[str, Any]:
    """Return the values of `name=value,name=value`, each read by its reader in `known`.

    Raises InputError that names the option: unknown, given twice, without a value, or refused by its reader.
    """
    # every error below shows the URI
    uri = without_password(uri)
    options: dict[str, Any] = {}
    for part in filter(None, text.split(",")):
        name, equals, value = part.partition("=")
        if name not in known:
            raise InputError(f"{uri!r}: unknown option {name!r}; known: {', '.join(known)}")
        if not equals or not value:
            raise InputError(f"{uri!r}: option {name!r} needs a value: {name}=...")
        if name in options:
            raise InputError(f"{uri!r}: option {name!r} is given twice")
        try:
            options[name] = known[name](value)
        except ValueError as error:
            raise InputError(f"{uri!r}: {name} = {value!r}: {error}") from error
    return options


def read_flag(text: str) -> bool:
    """Read yes or no; raises ValueError for anything else."""
    try:
        return {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}[text.lower()]
    except KeyError:
        raise ValueError("expected yes or no") from None


def read_size(text: str) -> tuple[int, int]:
    """Read WIDTHxHEIGHT in pixels, 16 to 8192 each; raises ValueError for anything else."""
    width, _, height = text.partition("x")
    if not (width.isdecimal() and height.isdecimal() and 16 <= int(width) <= 8192 and 16 <= int(height) <= 8192):
        raise ValueError("expected WIDTHxHEIGHT in pixels, 16 to 8192 each, for example 640x480")
    return int(width), int(height)


def read_fps(text: str) -> float:
    """Read frames per second, 0.01 to 1000; raises ValueError for anything else."""
    fps = float(text)
    if not 0.01 <= fps <= 1000:
        raise ValueError("expected 0.01 to 1000")
    return fps


HOUR_S = 3600.0


def read_seconds(text: str, most: float = HOUR_S) -> float:
    """Read a time such as 10ms, 2s or 0.5 (seconds), above zero and at most `most`, as seconds; raises ValueError."""
    digits, factor = (text[:-2], 0.001) if text.endswith("ms") else (text.removesuffix("s"), 1.0)
    try:
        seconds = float(digits) * factor
    except ValueError:
        seconds = math.nan
    if not 0 < seconds <= most:
        limit = "an hour" if most == HOUR_S else f"{most:g} s"
        raise ValueError(f"expected a time above zero and at most {limit}, for example 10ms or 2s")
    return seconds
