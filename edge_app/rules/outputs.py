"""Decides which outputs are on: levels, pulses, and the least time between two changes. No clock, no lines."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Output:
    on: bool
    since_ns: int | None = None
    """When it last changed; None: not since the start, so that the first change need not wait."""
    holders: set[str] = field(default_factory=set)
    """Rules whose condition holds."""
    pulse_ns: int = 0
    """Length of a pulse that was asked for, and begins as soon as the output may be on."""
    until_ns: int = 0
    """End of the pulse that runs."""


class OutputPlan:
    """Which outputs are on at a time.

    An output is on while a rule holds it, or a pulse runs. A pulse that is asked for while another runs begins that one
    anew. A change that comes too early is made as soon as the least times allow; a pulse then still has its length.
    """

    def __init__(
        self, names: Sequence[str], *, on_at_start: Collection[str] = (), min_on_ns: int = 0, min_off_ns: int = 0
    ) -> None:
        self._outputs = {name: _Output(name in on_at_start) for name in names}
        self._least_ns = {True: min_on_ns, False: min_off_ns}
        self._starting = frozenset(on_at_start)

    def begin(self) -> None:
        """End the levels of the start: from now on an output is on only because of a rule."""
        self._starting = frozenset()

    def hold(self, name: str, rule: str, on: bool) -> None:
        """Note whether the condition of a rule holds. Raises KeyError for an unknown output."""
        holders = self._outputs[name].holders
        if on:
            holders.add(rule)
        else:
            holders.discard(rule)

    def pulse(self, name: str, length_ns: int) -> None:
        """Ask for a pulse. Raises KeyError for an unknown output."""
        output = self._outputs[name]
        output.pulse_ns = max(output.pulse_ns, length_ns)

    def state(self, now_ns: int) -> tuple[Mapping[str, bool], int | None]:
        """Return name -> on at a time, and when that next changes by itself (None: never)."""
        times = [self._advance(name, output, now_ns) for name, output in self._outputs.items()]
        levels = {name: output.on for name, output in self._outputs.items()}
        return levels, min((time for time in times if time is not None), default=None)

    def _advance(self, name: str, output: _Output, now_ns: int) -> int | None:
        """Switch an output if that is due; return when it is to be looked at again."""
        wanted = bool(output.holders or output.pulse_ns or now_ns < output.until_ns or name in self._starting)
        if wanted != output.on:
            allowed_ns = now_ns if output.since_ns is None else output.since_ns + self._least_ns[output.on]
            if now_ns < allowed_ns:
                return allowed_ns
            output.on, output.since_ns = wanted, now_ns
        if output.on and output.pulse_ns:
            output.until_ns, output.pulse_ns = max(output.until_ns, now_ns + output.pulse_ns), 0
        return output.until_ns if output.on and now_ns < output.until_ns else None
