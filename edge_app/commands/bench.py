"""`edge-app bench`: time of each stage on this machine."""

import argparse
from pathlib import Path
from typing import Any

EPILOG = """\
Times are medians and 95th percentiles in milliseconds; the ratios do not depend on the machine's speed. Frames are
640 x 480 windows of scikit-image's photographs (pip install 'edge-app[demo]'), of --images, or drawn. Run it on an idle
machine: the load of other programs is measured too.

examples:
  edge-app bench
  edge-app bench --json bench.json
  edge-app bench --classes 10 --quick
"""

STAGES = {
    "encoder_invoke": "encoder alone",
    "preprocess": "preprocess 640x480",
    "encode": "encode",
    "rate_code": "rate code",
    "decide": "decide",
    "learn": "learn one example",
    "frame": "whole frame, decided",
}
"""Measured stage -> its name in the table."""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "bench",
        help="measure the time of each stage, memory and start-up",
        description="Measure encoder, preprocessing, rate code, decision, learning, the live loop with one place and "
        "with several, memory and start-up.",
        epilog=EPILOG,
    )
    parser.add_argument("--classes", type=int, default=64, metavar="N", help="classes to teach (default: 64)")
    parser.add_argument("--examples", type=int, default=10, metavar="N", help="examples per class (default: 10)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the frames, and fewer starts")
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="threads of encoder and classifier (default: 1)"
    )
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or file (default: the one shipped)")
    parser.add_argument("--params", default="default", metavar="PRESET", help="classifier's parameters")
    parser.add_argument("--images", type=Path, metavar="DIR", help="folder of photographs for the frames")
    parser.add_argument("--json", metavar="FILE", help="write all figures as JSON; - for standard output")
    return parser


def run(args: argparse.Namespace) -> int:
    """Measure and print a table; return 0."""
    from edge_app.colanet.params import Params
    from edge_app.commands.output import check_target, show_progress, write_json
    from edge_app.encoder.model import load_manifest
    from edge_app.profiling.measure import BenchSetting, measure

    if args.json:
        check_target("--json", args.json)
    setting = BenchSetting(
        classes=args.classes,
        examples=args.examples,
        # a 95th percentile of 40 rounds rests on two of them: enough for a first look, not for a comparison
        rounds=40 if args.quick else 400,
        starts=1 if args.quick else 5,
        blocks=1 if args.quick else 8,
        threads=args.threads,
        images=args.images,
    )
    values = measure(load_manifest(args.model), Params.preset(args.params), setting, progress=show_progress)
    if args.json:
        write_json(args.json, values)
    # with "-", standard output holds the JSON document alone
    if args.json != "-":
        print(report(values))
    return 0


def report(values: dict[str, Any]) -> str:
    """Return the figures of `profiling.measure` as text for a terminal."""
    from edge_app.commands.output import table

    facts, ratios = values["machine"], values["ratios"]
    where = facts["board"] or facts["cpu"]
    rows = [("ms", "median", "p95")]
    for stage, name in STAGES.items():
        found = values[f"{stage}_ms"]
        rows.append((name, f"{found['p50']:.3f}", f"{found['p95']:.3f}"))
    low, high = values["startup_spread_s"]
    live = values["sustained"]
    return "\n".join(
        [
            f"{where}, {facts['cores']} cores ({values['threads']} thread), Python {facts['python']}, "
            f"{facts['runtime']}",
            f"{values['classes']} classes, {values['examples_per_class']} examples each; frames: {values['frames']}; "
            f"{values['spikes_per_presentation']:.0f} spikes per presentation",
            "",
            table(rows),
            "",
            f"decide / encoder       {ratios['decide_to_encoder']:.3f}",
            f"learn / decide         {ratios['learn_to_decide']:.2f}",
            f"whole frame / encoder  {ratios['frame_to_encoder']:.2f}",
            "",
            f"live loop              {live['live_fps']:.1f} frames/s, {live['live_to_bare']:.2f} of the encoder alone",
            *(
                f"with {count} places          {found['fps']:.1f} frames/s in all, {found['to_one']:.2f} of one place"
                for count, found in live["places"].items()
            ),
            f"press to learnt        {live['press_to_learnt_ms']['p50']:.0f} ms",
            "",
            f"start to first decision  {values['startup_s']:.2f} s ({low:.2f} to {high:.2f})",
            f"resident memory          {values['rss_mb']:.0f} MB",
            f"learnt state             {values['state_mb']:.1f} MB",
        ]
    )
