"""`edge-app info`: versions, machine, encoder, parameters and kernel cache."""

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from edge_app.encoder.model import ModelManifest

EPILOG = """\
examples:
  edge-app info
  edge-app info --json
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add the command's parser."""
    parser = subparsers.add_parser(
        "info",
        help="show versions, encoder, parameters and cache",
        description="Show versions, machine, encoder model and runtime, classifier parameters, and numba's cache.",
        epilog=EPILOG,
    )
    parser.add_argument("--model", metavar="NAME", help="encoder model, by name or file (default: the one shipped)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def run(args: argparse.Namespace) -> int:
    """Print the information; return 0."""
    from edge_app.commands.output import write_json

    values = gather(args.model)
    if args.json:
        write_json("-", values)
    else:
        print(report(values))
    return 0


def gather(model: str | None = None) -> dict[str, Any]:
    """Return the information as JSON values.

    Keys: `edge_app`, `machine`, `model`, `arithmetic`, `params`, `rate_code`, `cache`.
    """
    from edge_app import machine
    from edge_app.colanet.params import Params
    from edge_app.encoder import selfcheck
    from edge_app.encoder.model import DEFAULT_MODEL, load_manifest
    from edge_app.encoder.ratecode import RateCode
    from edge_app.encoder.tflite import TFLiteEncoder
    from edge_app.kernel_cache import cache_state
    from edge_app.version import full_version

    manifest = load_manifest(model)
    rate_code, params = RateCode.for_model(manifest), Params()
    with TFLiteEncoder(manifest) as encoder:
        # the built-in picture is encoded, because the same versions may still compute other bits on another processor
        runtime, xnnpack, checked = encoder.runtime, encoder.xnnpack, selfcheck.check(encoder)
    return {
        "edge_app": full_version(),
        "machine": machine.describe(),
        "model": _model(manifest) | {"runtime": runtime, "xnnpack": xnnpack},
        "arithmetic": {
            "embedding_sha256": checked.embedding,
            "expected": checked.expected,
            "equal": checked.equal,
            "shipped": manifest.name == DEFAULT_MODEL,
            "compared": selfcheck.compared(manifest, runtime, xnnpack, machine.simd()),
        },
        "params": {"digest": params.digest, **params.to_dict()},
        "rate_code": {"digest": rate_code.digest, "n_inputs": rate_code.n_inputs},
        "cache": cache_state()._asdict(),
    }


def _model(manifest: "ModelManifest") -> dict[str, Any]:
    return {
        "name": manifest.name,
        "file": str(manifest.path),
        "sha256": manifest.sha256,
        "input_size": manifest.input_size,
        "input_colour": manifest.input_colour,
        "embedding_size": manifest.embedding_size,
        "spiking": dict(manifest.spiking),
    }


def report(values: dict[str, Any]) -> str:
    """Return the result of `gather` as text for a terminal."""
    facts, model, cache = values["machine"], values["model"], values["cache"]
    side = model["input_size"]
    packages = ", ".join(f"{name} {version}" for name, version in facts["packages"].items())
    rows = [
        ("edge-app", f"{values['edge_app']}, Python {facts['python']}"),
        ("packages", packages),
        ("machine", (facts["board"] + ": " if facts["board"] else "") + f"{facts['cpu']}, {facts['cores']} cores"),
        ("", f"{facts['memory_mb']} MB, {facts['system']}"),
        ("encoder", f"{model['name']} ({model['file']})"),
        ("", f"{side} x {side} {model['input_colour']} -> {model['embedding_size']} values"),
        ("", f"sha256 {model['sha256']}"),
        *_spiking(model["spiking"]),
        ("runtime", model["runtime"] + {True: " with XNNPACK", False: " without XNNPACK", None: ""}[model["xnnpack"]]),
        *_arithmetic(values),
        ("rate code", f"{values['rate_code']['n_inputs']} inputs, digest {values['rate_code']['digest'][:16]}"),
        ("parameters", f"default, digest {values['params']['digest'][:16]}"),
        ("cache", f"{cache['folder'] or 'none'} ({cache['reason']})"),
    ]
    # without a folder warmup could not help
    if cache["folder"] and not cache["files"]:
        rows.append(("", "empty: run `edge-app warmup` for a quick next start"))
    return "\n".join(f"{name:<12}{value}" for name, value in rows)


def _spiking(table: dict[str, Any]) -> list[tuple[str, str]]:
    """Say how a spiking encoder fires; nothing of others."""
    steps = table.get("steps")
    if not steps:
        return []
    operations = f"{table['effective'] / 1e6:.0f} M synaptic operations" if "effective" in table else "not measured"
    return [("", f"spiking, {table.get('schedule', '?')}, {min(steps)} to {max(steps)} steps a layer, {operations}")]


def _arithmetic(values: dict[str, Any]) -> list[tuple[str, str]]:
    """Return whether this machine computes the same bits as others, and how that is known."""
    found = values["arithmetic"]
    digest = f"{found['embedding_sha256'][:16]} of the built-in picture"
    maker = "x86-64" if found["shipped"] else "the manifest's maker"
    said = {
        True: f"same bits as {maker} (embedding {digest})",
        False: f"OTHER BITS than {maker} (embedding {digest}, there {(found['expected'] or '')[:16]}): decisions "
        "may differ between machines; see docs/platforms.md",
        None: f"embedding {digest}; the manifest has no digest to compare with",
    }[found["equal"]]
    path = "compared frame by frame with the reference" if found["compared"] else "not compared frame by frame"
    simd = ", ".join(values["machine"]["simd"]) or "vector extensions unknown"
    return [("arithmetic", said), ("", f"{simd}: {path}")]
