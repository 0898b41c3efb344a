"""Fits what holds something, a file or a device, into a `with` block."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Closed at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Let go of what is held; harmless when that was done before."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Opening(Closing):
    """Opened at the beginning of a `with` block, too."""

    @abstractmethod
    def open(self) -> None:
        """Take hold."""

    def __enter__(self) -> Self:
        self.open()
        return self
