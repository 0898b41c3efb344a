"""Text from outside, made safe to store and to show."""


def printable(text: str) -> str:
    r"""Return `text` with everything that is not printable as an escape: "\x1b", "\n", "\ud800".

    Names of files and texts of other devices may hold control sequences, which a terminal obeys, and half characters,
    which nothing can encode.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
