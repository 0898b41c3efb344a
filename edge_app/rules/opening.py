"""[outputs], [[rules]] and [[webhooks]] of the configuration -> the rules of a device."""

import logging
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from edge_app.config import Config, RuleConfig
from edge_app.config.acting import ANY, UNKNOWN
from edge_app.devices import open_outputs
from edge_app.devices.ports import Clock
from edge_app.errors import StateNotWritable
from edge_app.history.visits import VisitTracker, gap_ns
from edge_app.messages import Report
from edge_app.pipeline.recent import RecentFrames
from edge_app.pipeline.references import ClassReferences
from edge_app.rules.deliveries import Deliveries, MakeJpeg
from edge_app.rules.engines import RuleEngines
from edge_app.rules.kept_switches import FILE, KeptSwitches
from edge_app.rules.queue import MessageQueue
from edge_app.rules.service import Rules

REFERENCE = "rule "
"""Before a rule's name: the key of its class among the references."""


class WatchedPlace(NamedTuple):
    """The part of a place that the rules need."""

    recent: RecentFrames
    """For pictures."""
    references: ClassReferences
    """For the classes that the rules are about."""


def open_rules(
    config: Config,
    folder: Path,
    places: Mapping[str, WatchedPlace],
    make_jpeg: MakeJpeg,
    clock: Clock,
    report: Report,
) -> Rules | None:
    """Open outputs and queue; None if the configuration has neither outputs nor rules.

    `folder` is the device's; `places` has at least one. Raises InputError, DeviceError, RuntimeMissing.
    """
    if not config.rules and not config.outputs.uri:
        return None

    def label_of(place: str, rule: RuleConfig) -> str:
        if rule.label in (ANY, UNKNOWN):  # no class that could be renamed
            return rule.label
        return places[place].references.label(f"{REFERENCE}{rule.name}", rule.label)

    # here, because it loads TLS, which a device without webhooks does not need
    from edge_app.rules.webhooks import Sender, prepare

    # files with secrets first: a mistake in them must not leave a line taken
    targets = [prepare(webhook) for webhook in config.webhooks]
    kept = KeptSwitches(folder / FILE, config.rules)
    trackers = {name: VisitTracker(name, gap_ns=gap_ns(config)) for name in places}
    engine = RuleEngines(config.rules, trackers, label_of, enabled=kept.switched)
    queue = _open_queue(folder, config, report) if targets else None
    senders = {} if queue is None else {one.config.name: Sender(one, queue, clock, report) for one in targets}
    deliveries = Deliveries(queue, senders, make_jpeg, socket.gethostname(), clock, report)
    try:
        outputs = config.outputs
        lines = open_outputs(outputs.uri, clock, outputs.on_at_start) if outputs.uri else None
    except BaseException:
        deliveries.close()
        raise
    return Rules(
        engine, lines, outputs, deliveries, kept, {name: place.recent for name, place in places.items()}, clock, report
    )


def _open_queue(folder: Path, config: Config, report: Report) -> MessageQueue:
    """Open the queue; in memory where the disk is full or cannot be written, which must not keep the device away."""
    bounds = {one.name: one.queue for one in config.webhooks}
    try:
        return MessageQueue(folder, bounds)
    except StateNotWritable as error:
        report(logging.ERROR, "delivery_failed", reason=f"{error}; until the next start messages are kept in memory")
        return MessageQueue(None, bounds)
