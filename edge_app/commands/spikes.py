"""edge-app spikes: simulate a spiking encoder step by step on a picture."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edge_app.spiking.network import SpikingNetwork

DEFAULT_MODEL = "efficientnet_lite0_spiking"
EPILOG = """\
Shows each layer's spikes, rate (spikes of a neuron in a step) and synaptic operations, simulated in integers; the
phased simulation is compared with the TFLite graph, value by value. Exit status 1: they differ.

examples:
  edge-app spikes mug.jpg
  edge-app spikes mug.jpg --raster mug.png
  edge-app spikes mug.jpg --streaming --steps 64
  edge-app spikes mug.jpg --nir encoder.nir
  edge-app spikes mug.jpg --events
"""


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> argparse.ArgumentParser:
    """Add this command's parser."""
    parser = subparsers.add_parser(
        "spikes",
        help="simulate a spiking encoder step by step on a picture",
        description="Simulate a spiking encoder on a picture: rates and synaptic operations of each layer.",
        epilog=EPILOG,
    )
    parser.add_argument("picture", metavar="PICTURE", type=Path, help="image file")
    parser.add_argument("--model", default=DEFAULT_MODEL, metavar="NAME", help=f"encoder (default: {DEFAULT_MODEL})")
    parser.add_argument(
        "--events", action="store_true", help="turn the picture into events first, drawn as the model takes them"
    )
    parser.add_argument("--streaming", action="store_true", help="let all layers tick together")
    parser.add_argument("--steps", type=int, default=64, metavar="N", help="ticks of --streaming (default: 64)")
    parser.add_argument("--plain", action="store_true", help="--streaming: neurons do not take spikes back")
    parser.add_argument("--raster", metavar="FILE.png", help="draw which neurons fired in which step")
    parser.add_argument("--nir", metavar="FILE.nir", help="write the network as a NIR graph (extra nir)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    return parser


def run(args: argparse.Namespace) -> int:
    """Simulate and print; 1 when the simulation and the TFLite graph differ."""
    from edge_app.commands.output import check_target, table
    from edge_app.encoder.model import load_manifest
    from edge_app.errors import InputError
    from edge_app.evaluation.edges import open_encoder
    from edge_app.evaluation.figures import require_matplotlib
    from edge_app.spiking.reading import read_network

    if not 1 <= args.steps <= 4096:
        raise InputError(f"--steps {args.steps}: expected 1 to 4096 ticks")
    if args.raster:
        check_target("--raster", args.raster, ".png")
        require_matplotlib()
    manifest = load_manifest(args.model)
    network = read_network(manifest.path.read_bytes(), manifest.name)
    if args.nir:
        from edge_app.spiking import nir

        check_target("--nir", args.nir, ".nir")
        nir.write(network, Path(args.nir))
    with open_encoder(manifest, events=args.events) as encoder:
        picture = encoder.prepare(args.picture)
        # the TFLite graph is the reference that the simulation must equal
        wanted = encoder.encode(picture)
    show = _streaming if args.streaming else _phased
    values, rows = show(args, network, picture, wanted)
    if args.json:
        import json

        print(json.dumps({"picture": str(args.picture), "model": manifest.name, **values}, indent=1))
    else:
        print(table(rows))
        print("\n".join(f"{key.replace('_', ' ')}: {value}" for key, value in values.items() if key != "layers"))
    return 0 if values.get("differences", 0) == 0 else 1


def _phased(
    args: argparse.Namespace, network: "SpikingNetwork", picture: "NDArray[np.uint8]", wanted: "NDArray[np.uint8]"
) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    import numpy as np

    from edge_app.spiking.energy import activity
    from edge_app.spiking.phased import present
    from edge_app.spiking.raster import phased_raster

    shown = present(network, picture)
    found = activity(network, shown)
    rows: list[tuple[str, ...]] = [("layer", "neurons", "steps", "spikes", "rate", "operations")]
    for layer in found.layers:
        rate = f"{layer.rate:.3f}"
        rows.append(
            (layer.name, str(layer.neurons), str(layer.steps), f"{layer.spikes:.0f}", rate, f"{layer.effective:.0f}")
        )
    if args.raster:
        _save(args.raster, phased_raster(network, picture), network)
    values: dict[str, Any] = {"layers": [layer._asdict() | {"rate": layer.rate} for layer in found.layers]}
    return values | found.to_dict() | {"differences": int(np.count_nonzero(shown.embedding != wanted))}, rows


def _streaming(
    args: argparse.Namespace, network: "SpikingNetwork", picture: "NDArray[np.uint8]", wanted: "NDArray[np.uint8]"
) -> tuple[dict[str, Any], list[tuple[str, ...]]]:
    from edge_app.spiking.network import Layer
    from edge_app.spiking.raster import streamed_raster
    from edge_app.spiking.streaming import Stream

    stream = Stream(network, picture, take_back=not args.plain)
    cosines = {}
    columns = []
    for tick in range(1, args.steps + 1):
        columns.append(streamed_raster(network, stream, 1))
        # at powers of two and at the end: enough to see how the embedding converges
        if tick & (tick - 1) == 0 or tick == args.steps:
            cosines[tick] = round(_cosine(stream.embedding(), wanted), 4)
    rows: list[tuple[str, ...]] = [("layer", "neurons", "spikes", "rate")]
    layers = []
    for index, node in enumerate(network.nodes[:-1]):
        if isinstance(node, Layer):
            spikes, neurons = int(stream.fired[index]), int(stream.counts[index].size)
            layers.append({"name": node.name, "neurons": neurons, "spikes": spikes})
            rows.append((node.name, str(neurons), str(spikes), f"{spikes / (neurons * args.steps):.3f}"))
    if args.raster:
        import numpy as np

        _save(args.raster, np.concatenate(columns, axis=1), network)
    values = {"layers": layers, "steps": args.steps, "operations": stream.operations}
    return values | {"cosine_to_phased": cosines}, rows


def _cosine(one: "NDArray[np.uint8]", other: "NDArray[np.uint8]") -> float:
    import numpy as np

    a, b = one.astype(np.float64), other.astype(np.float64)
    norm = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(a @ b) / norm if norm else 0.0


def _save(target: str, raster: "NDArray[np.int8]", network: "SpikingNetwork") -> None:
    from edge_app.evaluation.figures import new_figure, save
    from edge_app.spiking.raster import draw

    names = [layer.name for layer in network.layers[:-1]]
    figure = new_figure(10, 1 + 0.16 * len(names))
    draw(figure.subplots(), raster, names)
    save(figure, Path(target))
