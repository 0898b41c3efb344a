"""Waiting offers, their limit, and the record of offers that were answered."""

import json
from pathlib import Path

import pytest

from edge_app.errors import InputError, StateNotWritable
from edge_app.mqtt import inbox as module
from edge_app.mqtt.inbox import FILE, MAX_WAITING, Inbox
from edge_app.mqtt.offers import Offer


def offer(content: bytes, label: str = "cup") -> Offer:
    return Offer("two", label, 1, 1, content, False)


def test_an_offer_waits_until_it_is_settled_and_then_is_not_shown_again(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, 1000)
    cup = offer(b"cup")
    assert inbox.put("a", cup)
    assert not inbox.put("a", cup), "it came again with a new connection"
    assert inbox.waiting() == [cup]
    assert inbox.find(cup.id) is cup
    inbox.settle(cup, "declined")
    assert inbox.waiting() == []
    for again in (inbox, Inbox(tmp_path, 1000)):
        assert not again.put("a", cup)
        with pytest.raises(InputError, match=f"no offer '{cup.id}' waits: the command `offers` lists those that do"):
            again.find(cup.id)


def test_the_places_of_a_group_forget_nothing_that_another_decided(tmp_path: Path) -> None:
    inboxes = Inbox(tmp_path, 1000), Inbox(tmp_path, 1000)
    offers = offer(b"cup"), offer(b"key")
    for inbox, one in zip(inboxes, offers, strict=True):
        inbox.put("a", one)
        inbox.settle(one, "declined")
    assert not any(Inbox(tmp_path, 1000).put("a", one) for one in offers)


def test_of_one_class_of_a_device_the_newest_waits(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, 1000)
    inbox.put("a", offer(b"old"))
    inbox.put("a", offer(b"new"))
    assert [one.content for one in inbox.waiting()] == [b"new"]
    inbox.withdrawn("a")
    inbox.withdrawn("b")
    assert inbox.waiting() == []


def test_there_is_room_for_so_many_and_so_many_bytes(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path, 1000)
    for number in range(MAX_WAITING):
        inbox.put(f"t{number}", offer(b"%d" % number))
    with pytest.raises(InputError, match="8 offers of 8 bytes wait already"):
        inbox.put("one more", offer(b"x"))
    inbox.put("t0", offer(b"newer"))
    small = Inbox(tmp_path, 10)
    small.put("a", offer(b"123456"))
    with pytest.raises(InputError, match="1 offers of 6 bytes wait already, there is room for 8 of 10"):
        small.put("b", offer(b"12345"))


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b'{"a": 1}', b"\xff", b"[" * 100_000])
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    inbox = Inbox(tmp_path, 1000)
    assert inbox.put("a", offer(b"cup"))
    inbox.settle(offer(b"cup"), "accepted")
    assert json.loads((tmp_path / FILE).read_bytes()) == {offer(b"cup").id: "accepted"}


def test_the_memory_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 3)
    inbox = Inbox(tmp_path, 1000)
    for number in range(5):
        inbox.settle(offer(b"%d" % number), "declined")
    assert list(json.loads((tmp_path / FILE).read_bytes())) == [offer(b"%d" % number).id for number in (2, 3, 4)]


def test_what_cannot_be_remembered_waits_on(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "gone", 1000)
    inbox.put("a", offer(b"cup"))
    with pytest.raises(StateNotWritable, match=f"cannot write {FILE}"):
        inbox.settle(offer(b"cup"), "accepted")
    assert inbox.waiting()
