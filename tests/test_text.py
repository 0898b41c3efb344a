"""Text that is safe to store and to show."""

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from edge_app.text import LAYOUT, UNSAFE, PrintableStream, from_spreadsheet_cell, printable, spreadsheet_cell

ANY = st.text(st.characters(codec=None) | st.sampled_from("\x1b\x07\x9b\x7f\ud800\udfff\u202e\u2028\n\t\r"))


@given(ANY)
def test_any_text_becomes_one_that_can_be_encoded_and_moves_no_cursor(text: str) -> None:
    shown = printable(text)
    assert not UNSAFE.search(shown)
    shown.encode()
    assert printable(shown) == shown


@given(ANY)
def test_what_is_written_as_json_stays_json(text: str) -> None:
    stream = io.StringIO()
    print(json.dumps({"file": text}, ensure_ascii=False, indent=1), file=PrintableStream(stream))  # type: ignore[call-overload]
    assert json.loads(stream.getvalue()) == {"file": text}
    assert not UNSAFE.search(stream.getvalue().replace("\n", ""))


def test_text_that_people_write_stays_as_it_is() -> None:
    for text in ("Tasse", "кружка", "茶碗", "mug\u00a03", "👩\u200d🚀", "\u05e1\u05e4\u05dc"):
        assert printable(text) == text


def test_escapes_are_those_of_json() -> None:
    assert printable("tea 茶 \x1b[2J\n\ud800\u202e") == r"tea 茶 \u001b[2J\u000a\ud800\u202e"
    assert printable("a\tb\n", keep=LAYOUT) == "a\tb\n"


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\uff1d1", "'", "'=1", "''", "'quoted'"]


@given(ANY | st.sampled_from(FORMULAS).flatmap(lambda start: ANY.map(lambda rest: start + rest)))
def test_a_text_comes_back_from_a_spreadsheet_that_calculates_nothing(text: str) -> None:
    cell = spreadsheet_cell(text)
    assert from_spreadsheet_cell(cell) == text
    assert cell.startswith("'") == (cell != text)
    assert (cell.lstrip() or " ")[0] not in "=+-@\uff1d\uff0b\uff0d\uff20"
