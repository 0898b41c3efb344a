"""Text that is safe to store and to show."""

from hypothesis import given
from hypothesis import strategies as st

from edge_app.text import printable


@given(st.text(st.characters(codec=None)))
def test_any_text_becomes_one_that_can_be_printed_and_encoded(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    shown.encode()
    assert printable(shown) == shown


def test_escapes_are_those_of_python() -> None:
    assert printable("tea 茶 \x1b[2J\n\ud800\u202e") == r"tea 茶 \x1b[2J\n\ud800\u202e"
