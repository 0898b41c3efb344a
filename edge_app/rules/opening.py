"""[outputs], [[rules]] and [[webhooks]] of the configuration -> the rules of a device."""

import logging
import socket
from pathlib import Path

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
from edge_app.rules.engine import RuleEngine
from edge_app.rules.kept_switches import FILE, KeptSwitches
from edge_app.rules.queue import MessageQueue
from edge_app.rules.service import Rules

REFERENCE = "rule "
"""Before a rule's name: the key of its class among the references."""


def open_rules(
    config: Config,
    folder: Path,
    recent: RecentFrames,
    references: ClassReferences,
    make_jpeg: MakeJpeg,
    clock: Clock,
    report: Report,
) -> Rules | None:
    """Open outputs and queue; None if the configuration has neither outputs nor rules.

    `folder` is the state's. Raises InputError, DeviceError, RuntimeMissing.
    """
    if not config.rules and not config.outputs.uri:
        return None

    def label_of(rule: RuleConfig) -> str:
        if rule.label in (ANY, UNKNOWN):  # no class that could be renamed
            return rule.label
        return references.label(f"{REFERENCE}{rule.name}", rule.label)

    # here, because it loads TLS, which a device without webhooks does not need
    from edge_app.rules.webhooks import Sender, prepare

    # files with secrets first: a mistake in them must not leave a line taken
    targets = [prepare(webhook) for webhook in config.webhooks]
    kept = KeptSwitches(folder / FILE, config.rules)
    tracker = VisitTracker(config.camera.place, gap_ns=gap_ns(config))
    engine = RuleEngine(config.rules, tracker, label_of, enabled=kept.switched)
    queue = _open_queue(folder, config, report) if targets else None
    senders = {} if queue is None else {one.config.name: Sender(one, queue, clock, report) for one in targets}
    deliveries = Deliveries(queue, senders, make_jpeg, socket.gethostname(), clock, report)
    try:
        outputs = config.outputs
        lines = open_outputs(outputs.uri, clock, outputs.on_at_start) if outputs.uri else None
    except BaseException:
        deliveries.close()
        raise
    return Rules(engine, lines, outputs, deliveries, kept, recent, clock, report)


def _open_queue(folder: Path, config: Config, report: Report) -> MessageQueue:
    """Open the queue; in memory where the disk is full or cannot be written, which must not keep the device away."""
    bounds = {one.name: one.queue for one in config.webhooks}
    try:
        return MessageQueue(folder, bounds)
    except StateNotWritable as error:
        report(logging.ERROR, "delivery_failed", reason=f"{error}; until the next start messages are kept in memory")
        return MessageQueue(None, bounds)
