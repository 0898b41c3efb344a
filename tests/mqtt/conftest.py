"""Fixtures of the MQTT tests."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from support.simple_network import folder_in_memory

if TYPE_CHECKING:
    from support.mosquitto import Mosquitto, Observer


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture
def broker(tmp_path: Path) -> "Iterator[Mosquitto]":
    """A running broker that keeps retained messages over a restart."""
    from support.mosquitto import Mosquitto

    broker = Mosquitto(tmp_path, "persistence true", f"persistence_location {tmp_path}/", "max_queued_messages 10000")
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def observe(broker: "Mosquitto") -> "Iterator[Callable[..., Observer]]":
    """Makes observers of all topics, or of those named."""
    from support.mosquitto import Observer

    made: list[Observer] = []

    def make(*topics: str) -> Observer:
        made.append(Observer(broker.port, *(topics or ("#",))))
        return made[-1]

    yield make
    for observer in made:
        observer.close()
