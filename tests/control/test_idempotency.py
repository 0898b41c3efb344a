"""A request is carried out once."""

import pytest

from edge_app.control.errors import RequestReused
from edge_app.control.idempotency import Requests, mark_of


def test_the_newest_are_remembered() -> None:
    requests, done = Requests(3), []

    def work() -> int:
        done.append(1)
        return len(done)

    assert [requests.once(name, "wish", work) for name in ("a", "b", "a", None, None)] == [1, 2, 1, 3, 4]
    for name in ("c", "d", "e"):
        requests.once(name, "wish", work)
    assert len(requests) == 3
    assert requests.once("a", "wish", work) == 8


def test_a_name_stands_for_one_wish() -> None:
    requests = Requests()
    requests.once("a", ("teach", "cup"), lambda: 1)
    with pytest.raises(RequestReused, match="'a' came before, with other content"):
        requests.once("a", ("teach", "cat"), lambda: 2)
    for name in ("", "x" * 201):
        with pytest.raises(RequestReused, match="characters"):
            requests.once(name, 1, lambda: 1)


def test_a_failure_is_not_remembered() -> None:
    requests = Requests()

    def fails() -> int:
        raise OSError("full")

    with pytest.raises(OSError, match="full"):
        requests.once("a", 1, fails)
    assert requests.once("a", 1, lambda: 5) == 5


def test_an_earlier_run_is_recalled_by_its_mark() -> None:
    requests = Requests()
    requests.recall(mark_of("a"), 1, "before")
    assert requests.once("a", 1, lambda: "now") == "before"
