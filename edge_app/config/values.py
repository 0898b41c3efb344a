"""Checks of values that only the configuration has: devices, addresses, paths, the part of a picture."""

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from edge_app.checks import LABEL, Check, list_of, number, table_of, text
from edge_app.devices.uri import split_scheme
from edge_app.errors import InputError
from edge_app.files import expanded
from edge_app.text import composed

_FRACTION = number(0, 1)


def device(registry: Mapping[str, str], *, needed: bool = True) -> Check[str]:
    """Accept the URI of a device that a driver in `registry` opens; "" too unless one is needed."""
    schemes = ", ".join(f"{name}:" for name in registry)

    def convert(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError
        if value == "" and not needed:
            return value
        try:
            scheme, _ = split_scheme(value)
        except InputError:
            scheme = ""
        # options are not checked here: that would import the driver
        if scheme not in registry:
            raise ValueError
        return value

    return Check(f"a URI that begins with one of {schemes}", convert)


def name_text(longest: int, *, least: int = 0, printable: bool = False) -> Check[str]:
    """Accept a name as text that is not restricted to letters, in Unicode's composed form."""
    check = text(longest, least=least, printable=printable)
    return Check(check.expected, lambda value: composed(check.convert(value)))


def _absolute(value: Any) -> str:
    if not isinstance(value, str) or (value and not expanded(value).is_absolute()):
        raise ValueError
    return value


def _address(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise ValueError from None  # what is expected says it better


_SITE = re.compile(r"self|https?://(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?")
"""It goes into a header: nothing that could end the directive, or begin another header."""


def _ancestor(value: Any) -> str:
    if not isinstance(value, str) or not _SITE.fullmatch(value):
        raise ValueError
    return value


def _network(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return str(ipaddress.ip_network(value))


def _region(value: Any) -> tuple[float, float, float, float]:
    if not isinstance(value, list | tuple) or len(value) != 4:
        raise ValueError
    x, y, width, height = (_FRACTION.convert(part) for part in value)
    # 1e-9: sums of fractions such as 0.7 + 0.3 are not exact
    if not (width > 0 and height > 0 and x + width <= 1 + 1e-9 and y + height <= 1 + 1e-9):
        raise ValueError
    return x, y, width, height


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    name = composed(value)
    # marks: many scripts write vowels as such, and the composed form keeps them
    allowed = all(one.isalnum() or one in " ._-" or unicodedata.category(one) in ("Mn", "Mc") for one in name)
    if not 1 <= len(name) <= 40 or not name[0].isalnum() or name[-1] == " " or not allowed:
        raise ValueError
    return name


SECTION_NAME = Check("1 to 40 letters, digits, blanks inside, and . _ - after the first", _name)
"""Name of one of several sections; a group's is that of a folder too."""
OPTIONAL_NAME = Check(
    'a name of up to 40 letters, digits, blanks inside, and . _ -, or ""',
    lambda value: value if value == "" else _name(value),
)
PATH = Check("an absolute path in quotes", _absolute)
ADDRESS = Check(
    "an IP address of this machine in quotes: 127.0.0.1 for this machine only, 0.0.0.0 or :: for all",
    _address,
)
GATEWAY = Check('an IP address in quotes, or ""', lambda value: value if value == "" else _address(value))
ANCESTORS = list_of(
    Check("a site", _ancestor), 'a list of sites such as ["https://home.example:8123"], without a path, or "self"'
)
NETWORKS = list_of(
    Check("a network", _network), 'a list of IP addresses or networks, such as ["127.0.0.1", "10.0.0.0/24"]'
)
REGION = Check("four fractions [x, y, width, height] with width, height > 0, x + width <= 1, y + height <= 1", _region)
CLASSES = table_of(LABEL, 'a table BUTTON = "CLASS"')
