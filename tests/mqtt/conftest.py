"""What the tests of the message bus share."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path[:0] = [str(Path(__file__).parents[1] / part) for part in ("", "control", "pipeline", "mqtt")]

from simple_network import folder_in_memory  # noqa: E402 lies beside this file

if TYPE_CHECKING:
    from mosquitto import Mosquitto, Observer


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def broker(tmp_path: Path) -> "Iterator[Mosquitto]":
    """A running broker that keeps what is retained over a restart."""
    from mosquitto import Mosquitto

    broker = Mosquitto(tmp_path, "persistence true", f"persistence_location {tmp_path}/", "max_queued_messages 10000")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def observe(broker: "Mosquitto") -> "Iterator[Callable[..., Observer]]":
    """Makes observers of all topics, or of those named."""
    from mosquitto import Observer

    made: list[Observer] = []

    def make(*topics: str) -> Observer:
        made.append(Observer(broker.port, *(topics or ("#",))))
        return made[-1]

    yield make
    for observer in made:
        observer.close()
