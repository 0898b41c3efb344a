"""`edge-app teach --folder`: the classes of a data set."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge_app.commands.state_options import (
    classes_in_all,
    examples,
    find_manifest,
    open_learner,
    positive,
    require_state_option,
)

if TYPE_CHECKING:
    from edge_app.datasets.contents import Item
    from edge_app.datasets.dataset import Dataset
    from edge_app.learner.bulk import BulkResult

MOST_NAMED = 5
"""Pictures of a kind that are named; --json names all."""


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add --folder and the options that belong to it."""
    group = parser.add_argument_group("data sets")
    group.add_argument(
        "--folder",
        type=Path,
        metavar="PATH",
        help="teach the classes of a folder, zip or tar archive: CLASS/*.jpg, or an export (docs/datasets.md)",
    )
    group.add_argument("--dry-run", action="store_true", help="only show the classes, and what is left out and why")
    group.add_argument("--split", metavar="NAME", help="only the pictures of this split (default: all)")
    group.add_argument("--limit", type=positive, metavar="N", help="at most N pictures of each class")
    group.add_argument("--names", metavar="ENCODING", help="encoding of names in a zip that are not UTF-8, such as gbk")


def teach_folder(args: argparse.Namespace) -> int:
    """Teach a data set; return 0, or 2 when pictures could not be read."""
    from edge_app.datasets.dataset import Dataset
    from edge_app.errors import InputError
    from edge_app.learner.bulk import in_turns

    if args.label is not None or args.files:
        raise InputError("--folder teaches the classes of a data set: name no CLASS and no FILE")
    if not args.dry_run and not args.live:
        require_state_option(args)
    with Dataset(args.folder, args.names) as dataset:
        # an export of edge-app has its classes in a table
        if not dataset.exported:
            dataset.require_classes()
        items = in_turns(_of_split(dataset, args.split), args.limit)
        if not args.json:
            print(_overview(dataset, items))
        if args.dry_run:
            if args.json:
                print(json.dumps(_found(dataset, items), ensure_ascii=False))
            return 0
        return _teach_live(args, dataset, items) if args.live else _teach(args, dataset, items)


def _of_split(dataset: "Dataset", split: str | None) -> "Sequence[Item]":
    from edge_app.errors import InputError

    if split is not None and split not in dataset.splits:
        raise InputError(f"--split {split}: no such split; there are: {', '.join(dataset.splits) or 'none'}")
    return [item for item in dataset.items if split in (None, item.split)]


def _overview(dataset: "Dataset", items: "Sequence[Item]") -> str:
    from edge_app.commands.output import table
    from edge_app.datasets.listing import summarise

    counts = Counter(item.label for item in items)
    rows = [["class", "pictures"], *([label, str(count)] for label, count in sorted(counts.items()))]
    notes = [*dataset.notes, *summarise(dataset.left_out)]
    return "\n".join([f"{dataset.path}: {dataset.layout}, {len(items)} pictures", table(rows), *notes])


def _found(dataset: "Dataset", items: "Sequence[Item]") -> dict[str, Any]:
    return {
        "layout": dataset.layout,
        "classes": dict(sorted(Counter(item.label for item in items).items())),
        "left_out": [left._asdict() for left in dataset.left_out],
        "notes": list(dataset.notes),
    }


def _teach(args: argparse.Namespace, dataset: "Dataset", items: "Sequence[Item]") -> int:
    from edge_app.commands.output import show_progress
    from edge_app.learner.bulk import BulkResult, BulkTeacher

    manifest = find_manifest(args.state, args.model)
    result = BulkResult()
    with open_learner(args, manifest=manifest) as learner:
        try:
            with BulkTeacher(learner, manifest, threads=args.threads) as teacher:
                teacher.teach(dataset, items, result, progress=show_progress)
        except KeyboardInterrupt:  # re-raised for the exit status; batches that were stored stay
            taught = examples(sum(result.taught.values()))
            print(f"edge-app teach: interrupted after {taught}; the same command continues", file=sys.stderr)
            raise
        # a full class is rebuilt in the background; its error belongs to this command
        learner.wait()
        classes = learner.classes()
    return _tell(args, _found(dataset, items) | _outcome(result) | {"right_before": result.right}, result, classes)


def _teach_live(args: argparse.Namespace, dataset: "Dataset", items: "Sequence[Item]") -> int:
    """Send the data set to a running device, which decodes, encodes and stores it."""
    from edge_app.commands.live_options import open_device
    from edge_app.commands.output import show_progress
    from edge_app.commands.sending import send_dataset
    from edge_app.learner.bulk import BulkResult

    device, result = open_device(args), BulkResult()
    try:
        send_dataset(device, dataset, items, result, progress=show_progress)
    except KeyboardInterrupt:
        taught = examples(sum(result.taught.values()))
        print(f"edge-app teach: interrupted after {taught}; the same command continues", file=sys.stderr)
        raise
    classes = {one["label"]: one["examples"] for one in device.get("/classes")["classes"]}
    return _tell(args, _found(dataset, items) | _outcome(result), result, classes)


def _tell(args: argparse.Namespace, found: dict[str, Any], result: "BulkResult", classes: dict[str, int]) -> int:
    """Print the result; return the exit status."""
    if args.json:
        print(json.dumps(found | {"state": classes}, ensure_ascii=False))
    else:
        print(_summary(result, classes, tested=not args.live))
    return 2 if result.failed else 0


def _outcome(result: "BulkResult") -> dict[str, Any]:
    return {
        "taught": dict(sorted(result.taught.items())),
        "duplicates": result.duplicates,
        "ambiguous": result.ambiguous,
        "failed": [{"file": name, "error": reason} for name, reason in result.failed],
    }


def _summary(result: "BulkResult", classes: dict[str, int], *, tested: bool) -> str:
    taught = sum(result.taught.values())
    lines = [f"{examples(taught)} taught, {classes_in_all(len(classes))}"]
    if taught and tested:
        lines.append(f"decided right before they were learnt: {result.right} ({100 * result.right / taught:.0f} %)")
    for names, what in (
        (result.duplicates, "stored already, or twice in a class"),
        (result.ambiguous, "in more than one class, and taught in each"),
        ([f"{name} ({reason})" for name, reason in result.failed], "that cannot be read, left out"),
    ):
        if names:
            more = ", ..." if len(names) > MOST_NAMED else ""
            lines.append(f"{len(names)} pictures {what}: {', '.join(names[:MOST_NAMED])}{more}")
    return "\n".join(lines)
