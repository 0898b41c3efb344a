"""Base classes of objects that hold a file or a device, for `with` blocks."""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Closing(ABC):
    """Closed at the end of a `with` block."""

    @abstractmethod
    def close(self) -> None:
        """Release everything; harmless if called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class Opening(Closing):
    """Also opened at the beginning of a `with` block."""

    @abstractmethod
    def open(self) -> None:
        """Open the file or device."""

    def __enter__(self) -> Self:
        self.open()
        return self
