"""The base of the configuration's sections, and how a key is declared."""

from collections.abc import Mapping
from dataclasses import field, fields, replace
from typing import Any, Self, TypeVar

from edge_app.checks import SHORT, Check, checked
from edge_app.devices.uri import without_password

T = TypeVar("T")


def declared(default: T, check: Check[T], description: str) -> T:
    """Declare a key of a section: its default, its check, and what the documentation says of it."""
    about = {"check": check, "description": description}
    if isinstance(default, Mapping):
        # a mapping as a default would be shared, and dataclasses reject it
        found: T = field(default_factory=lambda: check.convert(default), metadata=about)
        return found
    return field(default=default, metadata=about)


class Section:
    """Base of all sections: checks the values of a new one."""

    __slots__ = ()

    def __post_init__(self) -> None:
        """Check and convert every value. Raises InputError."""
        for entry in fields(self):  # type: ignore[arg-type]
            value = _checked(self._named(entry.name), getattr(self, entry.name), entry.metadata["check"])
            # the dataclass is frozen
            object.__setattr__(self, entry.name, value)
        self._check_together()

    def _check_together(self) -> None:
        """Raise InputError for values that are valid, but not together."""

    def _named(self, key: str) -> str:
        """Return the name of a key in messages."""
        return f"{self.name_of()}.{key}"

    @classmethod
    def name_of(cls) -> str:
        """Return the section's name in the file."""
        return cls.__name__.removesuffix("Config").lower()

    def changed(self, key: str, value: object, option: str) -> Self:
        """Return the section with the value of a command line option; None changes nothing. Raises InputError."""
        if value is None:
            return self
        check = next(entry.metadata["check"] for entry in fields(self) if entry.name == key)  # type: ignore[arg-type]
        return replace(self, **{key: _checked(option, value, check)})  # type: ignore[type-var]


class NamedSection(Section):
    """Base of the sections of which there may be several, each with a name: [[rules]], [[webhooks]]."""

    __slots__ = ()

    name: str

    def _named(self, key: str) -> str:
        return f"{self.kind()} {SHORT.repr(self.name)}: {key}"

    @classmethod
    def kind(cls) -> str:
        """Return the word for one of them in messages."""
        return cls.__name__.removesuffix("Config").lower()

    @classmethod
    def name_of(cls) -> str:
        """Return the name of the list in the file."""
        return f"{cls.kind()}s"


def _checked(name: str, value: Any, check: Check[T]) -> T:
    return checked(
        # a camera's URI may hold a password, and errors go to the log
        name,
        value,
        check,
        shown=lambda one: SHORT.repr(without_password(one) if isinstance(one, str) else one),
    )
