"""The queue on disk: order, bounds, a restart, damage."""

import sqlite3
from pathlib import Path

import pytest

from edge_app.errors import StateNotWritable
from edge_app.rules.queue import FILE, Message, MessageQueue


def message(name: str, webhook: str = "hub", size: int = 4) -> Message:
    return Message(webhook, name, "text/plain", name.encode().ljust(size, b"."))


def ids(queue: MessageQueue, webhook: str = "hub") -> list[str]:
    found, after = [], 0
    while (row := queue.next(webhook, after)) is not None:
        after = row[0]
        found.append(row[1].id)
    return found


def test_messages_wait_in_order_and_survive_a_restart(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 10, "log": 10}) as queue:
        queue.add([message("a"), message("b"), message("x", "log")])
        queue.add([message("c")])
        first = queue.next("hub")
        assert first is not None
        queue.remove(first[0])
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    with MessageQueue(tmp_path, {"hub": 10, "log": 10}) as queue:
        assert ids(queue) == ["b", "c"]
        assert ids(queue, "log") == ["x"]
        assert queue.waiting("hub") == 2
        found = queue.next("hub")
        assert found is not None
        assert found[1] == message("b")


def test_an_event_is_queued_once(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 10, "log": 10}) as queue:
        queue.add([message("a"), message("a"), message("a", "log")])
        assert ids(queue) == ["a"]
        assert ids(queue, "log") == ["a"]


def test_beyond_the_bounds_the_oldest_are_dropped(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 3}, most_bytes=100) as queue:
        queue.add([message(str(number)) for number in range(5)])
        assert ids(queue) == ["2", "3", "4"]
        assert queue.dropped == 2
        queue.add([message("large", size=98)])
        assert ids(queue) == ["large"]
        queue.add([message("larger", size=1000)])
        assert ids(queue) == ["larger"], "the newest is kept whatever its size"


def test_messages_of_a_webhook_that_is_gone_are_removed(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 10, "old": 10}) as queue:
        queue.add([message("a"), message("b", "old")])
    with MessageQueue(tmp_path, {"hub": 10}) as queue:
        assert ids(queue, "old") == []
        assert ids(queue) == ["a"]


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_put_aside(tmp_path: Path, content: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / FILE).write_bytes(content)
    with MessageQueue(tmp_path, {"hub": 10}) as queue:
        queue.add([message("a")])
        assert ids(queue) == ["a"]
    assert (tmp_path / f"{FILE}.damaged").read_bytes() == content
    assert "is damaged and was put aside" in caplog.text


def test_a_disk_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 10}) as queue:
        queue._database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(StateNotWritable, match=r"cannot write .*webhooks\.sqlite: database or disk is full"):
            queue.add([message("a", size=100_000)])
        queue._database.execute("PRAGMA max_page_count = 1000000")
        queue.add([message("b")])
        assert ids(queue) == ["b"]
    with pytest.raises(StateNotWritable, match="cannot open"):
        MessageQueue(tmp_path / "nowhere", {"hub": 10})


def test_a_queue_may_be_kept_in_memory() -> None:
    with MessageQueue(None, {"hub": 10}) as queue:
        queue.add([message("a"), message("b")])
        assert ids(queue) == ["a", "b"]
    with MessageQueue(None, {"hub": 10}) as queue:
        assert ids(queue) == []


def test_another_program_may_read_it(tmp_path: Path) -> None:
    with MessageQueue(tmp_path, {"hub": 10}) as queue:
        queue.add([message("a")])
        reader = sqlite3.connect(tmp_path / FILE)
        assert reader.execute("SELECT count(*) FROM messages").fetchone() == (1,)
        reader.close()
