"""Read a NIR graph of a spiking encoder back, and run it by snnTorch, beside the TFLite graph.

    python -m calibration.spiking.nir_in_snntorch --model NAME --data FOLDER --pictures 200

Each population runs as snntorch.Leaky with beta = 1 and reset by subtraction, for its steps, all of its input in the
first; convolutions by PyTorch from the graph's own weights. Held-out pictures of the validation splits are shown; the
CoLaNET network that decides is taught others of them.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path
from typing import Any

import nir
import numpy as np
import snntorch
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from calibration import validation
from edge_app.colanet.kernels import spikes_at, spread_evenly
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import INPUT_STEPS, SILENT_STEPS, Params
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.spiking import nir as export
from edge_app.spiking.reading import read_network


class SnnTorchGraph:
    """A graph that was read back, ready to run."""

    def __init__(self, graph: Any) -> None:
        self.nodes = graph.nodes
        self.offset = int(graph.metadata["offset"])
        self.heard: dict[str, list[str]] = defaultdict(list)
        for source, sink in graph.edges:
            self.heard[sink].append(source)
        self.populations = self._ordered([name for name, node in graph.nodes.items() if isinstance(node, nir.IF)])

    def _ordered(self, names: list[str]) -> list[str]:
        """Each population after those that it hears: a file keeps no order."""
        done: list[str] = []
        while waiting := [name for name in names if name not in done]:
            done += [name for name in waiting if set(self.heard[f"{name}.synapses"]) <= {export.INPUT, *done}]
        return done

    @torch.no_grad()
    def embed(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the counts (n,) of the last population for a picture (size, size, 3) uint8."""
        spikes = {export.INPUT: torch.from_numpy(picture.astype(np.float32) - self.offset).permute(2, 0, 1)[None]}
        for name in self.populations:
            arrived = torch.stack([spikes[source] for source in self.heard[f"{name}.synapses"]]).sum(0)
            spikes[name] = fired(self.nodes[name], convolved(self.nodes[f"{name}.synapses"], arrived))
        return np.asarray(spikes[self.populations[-1]].flatten().numpy().astype(np.uint8))


def convolved(node: Any, x: Tensor) -> Tensor:
    """Return NIR's Conv2d of `x`."""
    arrays = torch.from_numpy(node.weight), torch.from_numpy(node.bias)
    return F.conv2d(x, *arrays, stride=tuple(node.stride), padding=tuple(node.padding), groups=int(node.groups))


def fired(node: Any, drive: Tensor) -> Tensor:
    """Return how often the neurons of a population fire."""
    threshold = torch.from_numpy(node.v_threshold)[None]
    neuron = snntorch.Leaky(beta=1.0, threshold=threshold, reset_mechanism="subtract")
    membrane = neuron.init_leaky()
    total = torch.zeros_like(drive)
    for step in range(int(node.metadata["steps"])):
        spike, membrane = neuron(drive if step == 0 else torch.zeros_like(drive), membrane)
        total += spike
    return total


@torch.no_grad()
def decision(network: CoLaNET, counts: NDArray[np.uint8]) -> str:
    """Return what the classifier's NIR graph decides, run by snnTorch, on spike counts (n,)."""
    columns = network.columns
    steps = INPUT_STEPS + SILENT_STEPS
    steady = np.zeros((INPUT_STEPS, len(network.labels)), np.int32)
    spread_evenly(columns.tonic, steady)
    made = export.classifier_graph(columns.weights, columns.threshold, steady, steps)
    synapses, node = made.nodes["columns.synapses"], made.nodes["columns"]
    weight, bias = torch.from_numpy(synapses.weight), torch.from_numpy(synapses.bias)
    neuron = snntorch.Leaky(beta=1.0, threshold=torch.from_numpy(node.v_threshold), reset_mechanism="subtract")
    membrane = neuron.init_leaky()
    total = torch.zeros(len(network.labels))
    for step in range(steps):
        arrived = [float(step < INPUT_STEPS and spikes_at(int(count), step)) for count in counts]
        arrived += [float(step == clock) for clock in range(INPUT_STEPS)]
        spike, membrane = neuron(F.linear(torch.tensor(arrived), weight, bias), membrane)
        total += spike
    # snnTorch resets in the step after the spike: the last one's reset is still due
    left = membrane - torch.from_numpy(node.v_threshold) * spike
    best = max(range(len(network.labels)), key=lambda column: (float(total[column]), float(left[column])))
    return network.labels[best] if total[best] else ""


def main() -> None:
    """Compare, and print the differences."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="efficientnet_lite0_spiking")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pictures", type=int, default=200, help="that both embed and decide on")
    parser.add_argument("--out", type=Path, default=Path(".cache/spiking/encoder.nir"), help="the graph's file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    manifest = load_manifest(args.model)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    export.write(read_network(manifest.path.read_bytes()), args.out)
    graph = SnnTorchGraph(nir.read(str(args.out), type_check=False))
    source = validation.sources(["grocery"])[0]
    code = RateCode.for_model(manifest)
    with Dataset(args.data / source.file) as dataset, ImageEncoder(manifest) as encoder:
        curve = validation.draw_curve(dataset.items, source, 0)
        taught = [index for stage in curve.stages for index in stage.learn][:400]
        network = CoLaNET(Params(), code.n_inputs)
        for index in taught:
            label = dataset.items[index].label
            if label not in network.labels:
                network.add_class(label)
            network.learn_one(code(encoder.embed(dataset.read(dataset.items[index]))), label)
        values = decisions = pictures = 0
        for index in curve.test[:: max(len(curve.test) // args.pictures, 1)][: args.pictures]:
            picture = encoder.prepare(dataset.read(dataset.items[index])).copy()
            own, other = encoder.encode(picture), graph.embed(picture)
            pictures += 1
            values += int(np.count_nonzero(own != other))
            decisions += (network.predict_one(code(own)).label or "") != decision(network, code(other))
    print(f"{pictures} pictures: {values} of {pictures * own.size} values differ, {decisions} decisions")


if __name__ == "__main__":
    main()
