"""`edge-app models`: list, check, add and remove encoder models."""

import argparse
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from edge_app.encoder.model import ModelManifest

EPILOG = """\
examples:
  edge-app models list
  edge-app models check
  edge-app models add lite2
  edge-app models add efficientnet-lite3-int8.tflite --licence Apache-2.0
  edge-app models add classifier.tflite --name mine --embedding 'global_average_pooling2d/Mean'
  edge-app models remove mine

A model must be full-integer TFLite: uint8 or int8 input [1, size, size, 3], one vector as output. A classifier is cut
before its last fully connected layer. If a manifest beside FILE describes it, it is copied, unless options differ.
Added models are stored in $EDGE_APP_MODELS, else in $XDG_DATA_HOME/edge-app/models, else in
~/.local/share/edge-app/models. See docs/models.md.
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "models",
        help="list, check, add or remove encoder models",
        description="List, check, add or remove encoder models: TFLite files, each with a manifest and its hash.",
        epilog=EPILOG,
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    listing = actions.add_parser("list", help="list the models")
    check = actions.add_parser("check", help="check the hashes, load each model and run it once")
    check.add_argument("names", nargs="*", metavar="NAME", help="models to check (default: all)")
    add = actions.add_parser("add", help="add a TFLite file, and write its manifest")
    add.add_argument("file", metavar="FILE", help="a .tflite file, or lite0x2, lite1 or lite2: encoders of edge-app")
    add.add_argument("--name", help="name of the model (default: the file's name without .tflite)")
    add.add_argument("--embedding", metavar="TENSOR", help="output tensor: its name, or a unique part of it")
    add.add_argument("--source", default="", help="where the file comes from; stored in the manifest")
    add.add_argument("--licence", default="", help="licence of the weights; stored in the manifest")
    add.add_argument("--architecture", default="", help="architecture; stored in the manifest")
    add.add_argument("--crop", type=float, default=1.0, help="fraction of the frame's shorter side that the model sees")
    add.add_argument("--colour", default="RGB", help="RGB: it takes pictures (the default); red-blue: events drawn so")
    add.add_argument("--replace", action="store_true", help="replace an added model of the same name")
    remove = actions.add_parser("remove", help="remove an added model")
    remove.add_argument("name", metavar="NAME")
    for action in (listing, check, add, remove):
        action.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def run(args: argparse.Namespace) -> int:
    """Run an action; `check` returns 3 if a model fails."""
    actions = {"list": _list, "check": _check, "add": _add, "remove": _remove}
    result, lines, status = actions[args.action](args)
    if args.json:
        import json

        print(json.dumps(result, indent=2))
    else:
        print("\n".join(lines))
    return status


def _list(args: argparse.Namespace) -> tuple[Any, list[str], int]:
    from edge_app.encoder.model import find_models, model_dirs, read_manifest
    from edge_app.errors import EdgeAppError

    rows: list[dict[str, Any]] = []
    lines = []
    for name, path in find_models().items():
        try:
            rows.append(_row(read_manifest(path)))
            lines.append(_line(rows[-1]))
        except EdgeAppError as error:
            rows.append({"name": name, "manifest": str(path), "error": str(error)})
            lines.append(f"{name:32} {error}")
    if not rows:
        lines = ["no models; searched " + ", ".join(map(str, model_dirs()))]
    return rows, lines, 0


def _check(args: argparse.Namespace) -> tuple[Any, list[str], int]:
    from edge_app.encoder.model import find_models
    from edge_app.errors import EdgeAppError, ModelNotFound, RuntimeMissing

    names = args.names or list(find_models())
    if not names:
        raise ModelNotFound("no models to check")
    rows: list[dict[str, Any]] = []
    lines = []
    for name in names:
        try:
            runtime = _run_once(name)
        except RuntimeMissing:  # without a runtime every model would fail for the same reason, which is not the models'
            raise
        except EdgeAppError as error:
            rows.append({"name": name, "ok": False, "error": str(error)})
            lines.append(f"{name}: {error}")
        else:
            rows.append({"name": name, "ok": True, "runtime": runtime})
            lines.append(f"{name}: ok ({runtime})")
    return rows, lines, 0 if all(row["ok"] for row in rows) else 3


def _run_once(name: str) -> str:
    """Check a model's hashes and run it once; return the runtime. Raises EdgeAppError."""
    import numpy as np

    from edge_app.encoder.model import load_manifest
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.errors import RuntimeMissing

    manifest = load_manifest(name)
    if manifest.spiking:
        from edge_app.spiking.reading import read_network

        with suppress(RuntimeMissing):  # tflite-runtime brings no reader of the graph, and is all that a board may have
            read_network(manifest.path.read_bytes(), str(manifest.path))
    with TFLiteEncoder(manifest) as encoder:
        # a model may load and still fail when it runs
        encoder.encode(np.zeros((manifest.input_size, manifest.input_size, 3), np.uint8))
        return encoder.runtime


def _add(args: argparse.Namespace) -> tuple[Any, list[str], int]:
    from pathlib import Path

    from edge_app.encoder.install import ModelFacts, add_model, unusual_input
    from edge_app.encoder.model import INPUT_COLOURS, SHORT_NAMES
    from edge_app.errors import InputError

    # a file of that name in the current folder is what the user means
    if args.file in SHORT_NAMES and not Path(args.file).exists():
        return _add_own(args.file)
    if not 0.1 <= args.crop <= 1.0:
        raise InputError(f"--crop {args.crop}: expected a fraction of the shorter side, 0.1 to 1.0")
    if args.colour not in INPUT_COLOURS:
        raise InputError(f"--colour {args.colour}: expected {' or '.join(INPUT_COLOURS)}")
    facts: ModelFacts | None = ModelFacts(args.source, args.licence, args.architecture, args.crop, args.colour)
    # no option was given: the manifest beside the file may be copied as it is
    if facts == ModelFacts():
        facts = None
    manifest, cut = add_model(
        Path(args.file), name=args.name, embedding=args.embedding, facts=facts, replace=args.replace
    )
    result = {**_row(manifest), "tensor": cut.tensor, "removed": list(cut.removed)}
    lines = [f"added {_line(result)}", f"embedding: {cut.tensor}"]
    if cut.removed:
        lines.append(f"cut off: {', '.join(cut.removed)}")
    warning = unusual_input(manifest)
    if warning is not None:
        result["warning"] = warning
        lines.append(f"warning: {warning}")
    if not manifest.licence:
        lines.append("no --licence was given: check that you may use these weights")
    return result, lines, 0


def _add_own(short_name: str) -> tuple[Any, list[str], int]:
    """Say that an encoder of edge-app is there, and how to use it. Raises ModelNotFound with the way to get it."""
    from edge_app.encoder.model import load_manifest

    row = _row(load_manifest(short_name))
    lines = [
        f"already installed: {_line(row)}",
        f"new states: --model {short_name}, or model = {row['name']!r} in [encoder] of the configuration",
        f"a state that was taught: edge-app rebuild --state DIR --model {short_name}",
    ]
    return row, lines, 0


def _remove(args: argparse.Namespace) -> tuple[Any, list[str], int]:
    from edge_app.encoder.install import remove_model

    files: list[Path] = remove_model(args.name)
    return {"name": args.name, "removed": [str(file) for file in files]}, [f"removed {file}" for file in files], 0


def _row(manifest: "ModelManifest") -> dict[str, Any]:
    from edge_app.encoder.model import user_models_dir

    return {
        "name": manifest.name,
        "manifest": str(manifest.manifest_path),
        "sha256": manifest.sha256,
        "shipped": manifest.manifest_path.parent != user_models_dir(),
        "bytes": manifest.path.stat().st_size if manifest.path.is_file() else None,
        "input_size": manifest.input_size,
        "input_colour": manifest.input_colour,
        "embedding_size": manifest.embedding_size,
        "embedding_scale": manifest.embedding_scale,
        "embedding_zero_point": manifest.embedding_zero_point,
        "crop": manifest.crop,
        "architecture": manifest.architecture,
        "source": manifest.source,
        "licence": manifest.licence,
        "spiking": bool(manifest.spiking),
    }


def _line(row: dict[str, Any]) -> str:
    size = "file missing" if row["bytes"] is None else f"{row['bytes'] / 1e6:.2f} MB"
    kind = ("shipped" if row["shipped"] else "added") + (", spiking" if row["spiking"] else "")
    shape = f"{row['input_size']} x {row['input_size']} {row['input_colour']} -> {row['embedding_size']}"
    return f"{row['name']:32} {shape:26} {size:12} {kind:8} {row['licence']}"
