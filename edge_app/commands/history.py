"""`edge-app history`: the visits of a device: list, count, export, delete."""

import argparse
import csv
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain, islice
from typing import TYPE_CHECKING

from edge_app.commands.examples import when
from edge_app.commands.state_options import add_json_option, add_state_options, positive
from edge_app.errors import InputError

if TYPE_CHECKING:
    from edge_app.history.records import StoredVisit, VisitFilter
    from edge_app.history.store import HistoryStore
    from edge_app.history.table import Value

EPILOG = """\
A visit is a class that was seen for half a second or longer, from its first to its last decision; docs/history.md
describes the columns. A service may be running, also with --delete.

times:
  2026-11-29, "2026-11-29 14:30"   local time
  today, 90min, 24h, 7d            from the beginning of today; so long ago

examples:
  edge-app history --state ~/things
  edge-app history --state ~/things --class mug --since today
  edge-app history --state ~/things --counts day --since 7d
  edge-app history --state ~/things --csv --limit 0 > visits.csv
  edge-app history --state ~/things --delete --unknown
  edge-app history --state ~/things --delete --all
"""
SECONDS = {"s": 1, "min": 60, "h": 3600, "d": 86_400}
LISTED = 20
WEEK_NS = 7 * 86_400 * 1_000_000_000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "history",
        help="list, count, export or delete what was seen",
        description="List the visits that a device has stored, the newest first; count, export or delete them.",
        epilog=EPILOG,
    )
    add_state_options(parser, model=False)
    add_json_option(parser)
    parser.add_argument("--csv", action="store_true", help="print CSV")
    parser.add_argument("--class", dest="label", metavar="CLASS", help="only visits of this class")
    parser.add_argument("--unknown", action="store_true", help="only unknown ones")
    parser.add_argument("--unsure", action="store_true", help="only those that a person should look at")
    parser.add_argument("--place", metavar="NAME", help="only visits of this place")
    parser.add_argument("--since", metavar="TIME", help="only those that began then or later")
    parser.add_argument("--until", metavar="TIME", help="only those that began before then")
    parser.add_argument(
        "--limit", type=int, default=LISTED, metavar="N", help=f"how many to list (default: {LISTED}; 0: all)"
    )
    parser.add_argument("--counts", choices=("hour", "day"), help="count visits and time of each class instead")
    parser.add_argument("--picture", type=positive, metavar="ID", help="write the picture of a visit to stdout (JPEG)")
    parser.add_argument("--delete", action="store_true", help="delete the visits of the filter, with their pictures")
    parser.add_argument("--all", action="store_true", help="with --delete and without a filter: delete all")
    return parser


def run(args: argparse.Namespace) -> int:
    """Do what the options say; return 0."""
    from edge_app.history.store import HistoryStore
    from edge_app.storage.folder import history_path

    wanted = _filter(args, time.time_ns())
    path = history_path(args.state)
    if args.delete:
        _delete(args, wanted)
        return 0
    with HistoryStore.reader(path) as store:
        if args.picture is not None:
            _write_picture(store, args.picture)
        elif args.counts:
            _print_counts(args, store, wanted)
        else:
            _print_visits(args, store.visits(wanted))
    return 0


def _filter(args: argparse.Namespace, now_ns: int) -> "VisitFilter":
    from edge_app.history.records import VisitFilter

    if args.json and args.csv:
        raise InputError("--json and --csv: give one of them")
    if args.limit < 0:
        raise InputError(f"--limit {args.limit}, expected 0 (all) or more")
    wanted = VisitFilter(
        label=args.label,
        unknown=args.unknown,
        place=args.place,
        unsure=True if args.unsure else None,
        from_ns=None if args.since is None else read_time("--since", args.since, now_ns),
        before_ns=None if args.until is None else read_time("--until", args.until, now_ns),
    )
    wanted.check()
    return wanted


def read_time(option: str, text: str, now_ns: int) -> int:
    """Return the time that an option gives, nanoseconds since 1970. Raises InputError."""
    ago = re.fullmatch(r"(\d{1,6})(s|min|h|d)", text)
    if ago:
        return now_ns - int(ago[1]) * SECONDS[ago[2]] * 1_000_000_000
    try:
        if text == "today":
            at = datetime.fromtimestamp(now_ns // 1_000_000_000).replace(hour=0, minute=0, second=0)
        else:
            at = datetime.fromisoformat(text)
        return int(at.timestamp()) * 1_000_000_000
    except (ValueError, OverflowError, OSError) as error:
        raise InputError(
            f'{option} {text!r}, expected a local time such as 2026-11-29 or "2026-11-29 14:30", today, 24h or 7d'
        ) from error


def _delete(args: argparse.Namespace, wanted: "VisitFilter") -> None:
    from edge_app.history.records import VisitFilter
    from edge_app.history.store import HistoryStore
    from edge_app.storage.folder import history_path

    if args.all == (wanted != VisitFilter()):
        raise InputError(
            "--delete: name the visits (--class, --unknown, --unsure, --place, --since, --until), or --all"
        )
    # for its error: a history must not be made only to be empty
    HistoryStore.reader(history_path(args.state)).close()
    with HistoryStore.open(history_path(args.state)) as store:
        gone = store.delete(wanted)
    print(json.dumps({"deleted": gone}) if args.json else f"{_visits(gone)} deleted")


def _write_picture(store: "HistoryStore", visit: int) -> None:
    picture = store.picture(visit)
    if picture is None:
        raise InputError(f"visit {visit} has no picture")
    if sys.stdout.isatty():
        raise InputError("--picture writes a JPEG: send it to a file (> visit.jpg)")
    sys.stdout.flush()
    sys.stdout.buffer.write(picture)


def _print_counts(args: argparse.Namespace, store: "HistoryStore", wanted: "VisitFilter") -> None:
    from edge_app.history.table import count_row

    now_ns = time.time_ns()
    from_ns = now_ns - WEEK_NS if wanted.from_ns is None else wanted.from_ns
    found = store.counts(args.counts, from_ns, wanted.before_ns or now_ns, wanted)
    if args.json or args.csv:
        _print_rows(args, "counts", map(count_row, found))
        return
    width = max((len(_shown(one.label)) for one in found), default=0)
    for one in found:
        print(f"{when(one.begin_ns)[:16]}  {_shown(one.label):<{width}}  {one.visits:>6}  {_lasting(one.duration_ns)}")


def _print_visits(args: argparse.Namespace, found: "Iterator[StoredVisit]") -> None:
    from edge_app.history.table import visit_row

    some = islice(found, args.limit) if args.limit else found
    if args.json or args.csv:
        _print_rows(args, "visits", map(visit_row, some))
        return
    shown = list(some) if args.limit else some
    for one in shown:
        marks = [word for word, there in (("unsure", one.unsure), ("still there", one.open)) if there]
        marks += [f"taught as {one.taught}"] if one.taught is not None else []
        marks += ["clock doubtful"] if one.clock == 0 else []
        print(
            f"{one.id:>7}  {when(one.begin_ns)}  {_lasting(one.duration_ns):>9}  {one.place}  {_shown(one.label)}"
            f"  {one.mean_confidence:.0%}{'  ' + ', '.join(marks) if marks else ''}"
        )
    if args.limit and next(found, None) is not None:
        print(f"the newest {args.limit}; --limit 0 lists all")


def _print_rows(args: argparse.Namespace, name: str, rows: "Iterable[dict[str, Value]]") -> None:
    """Print rows as JSON or CSV, each as soon as it is read."""
    from edge_app.history.table import cells

    if args.csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        rows = iter(rows)
        first = next(rows, None)
        if first is not None:
            writer.writerow(first)
            writer.writerows(cells(row) for row in chain((first,), rows))
        return
    before = f'{{"{name}": ['
    for row in rows:
        print(before, json.dumps(row, ensure_ascii=False), sep="\n ", end="")
        before = ","
    print(f"{before if before != ',' else ''}\n]}}")


def _shown(label: str | None) -> str:
    return "unknown" if label is None else label


def _lasting(duration_ns: int) -> str:
    """Return a duration as people read it: "3.2 s", "5:03 min", "2:05 h"."""
    seconds = duration_ns / 1e9
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"


def _visits(count: int) -> str:
    return f"{count} visit{'' if count == 1 else 's'}"
