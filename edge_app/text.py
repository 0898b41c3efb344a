"""Text from outside, made safe to store and to show, and names in the form in which they are compared.

Names of files and texts of other devices may hold control sequences, which a terminal obeys, marks that turn the
direction of writing, and half characters, which nothing can encode.
"""

import re
import unicodedata
from typing import Any, TextIO

# C0 and C1 controls, marks of direction and of line ends, surrogates
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
LAYOUT = "\n\r\t"
# also the full-width forms of = + - @, which some spreadsheets read alike
FORMULA = re.compile("\\s*['=+\\-@\uff1d\uff0b\uff0d\uff20]")
"""Beginning of a text that a spreadsheet would calculate, or that looks as if it had been escaped."""


def composed(name: str) -> str:
    """Return a name in Unicode's composed form (NFC): macOS writes accents as characters of their own."""
    return unicodedata.normalize("NFC", name)


def alike(name: str) -> str:
    """Return a form that is equal for names that people or disks confuse: without case, wide letters as usual ones."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


DIFFER_IN_FORM = "differ only in upper and lower case, or in wide and usual letters"
"""Of names that are `alike`, in messages."""


def printable(text: str, *, keep: str = "") -> str:
    r"""Return `text` with everything unsafe but the characters in `keep` as an escape of JSON: "\u001b"."""
    return UNSAFE.sub(lambda found: found[0] if found[0] in keep else f"\\u{ord(found[0]):04x}", text)


def spreadsheet_cell(text: str) -> str:
    """Return `text` for a cell of a CSV file: with an apostrophe before it where a spreadsheet would calculate it."""
    return "'" + text if FORMULA.match(text) else text


def from_spreadsheet_cell(cell: str) -> str:
    """Return the text that `spreadsheet_cell` made a cell from."""
    return cell[1:] if cell.startswith("'") and FORMULA.match(cell[1:]) else cell


class PrintableStream:
    """A text stream that escapes what is unsafe, but for the characters that lay out lines."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; return its length."""
        self._stream.write(printable(text, keep=LAYOUT))
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
