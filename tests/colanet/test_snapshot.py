"""Snapshots: equal for equal histories, exact to continue from, and refused unless every byte is as it was written."""

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.colanet.snapshot import MAGIC, pack, unpack
from edge_app.errors import StateCorrupt
from support.twins import LABELS, RULES, N, stream, taught

SNAPSHOTS = {name: taught(params, 12).snapshot() for name, params in RULES.items()}


@pytest.mark.parametrize("again", [lambda it: CoLaNET.from_snapshot(it.snapshot(), threads=2), CoLaNET.copy])
@pytest.mark.parametrize("name", RULES)
def test_continues_to_the_bit(name: str, again: Callable[[CoLaNET], CoLaNET]) -> None:
    original = taught(RULES[name])
    network = again(original)
    assert network.snapshot() == original.snapshot()
    assert (network.labels, network.n_learnt, network.params) == (original.labels, 30, RULES[name])
    for attribute in ("weights", "threshold", "tonic", "keys"):
        assert np.array_equal(getattr(network.columns, attribute), getattr(original.columns, attribute))
    for net in (network, original):
        net.remove_class("ant")
        net.add_class("dog")
        for counts, label in stream(8, 30):
            net.learn_one(counts, "dog" if label == "ant" else label)
            net.predict_one(counts)
    assert network.snapshot() == original.snapshot()


@pytest.mark.parametrize("name", RULES)
def test_a_copy_learns_on_its_own(name: str) -> None:
    original = taught(RULES[name], 12)
    copied = original.copy()
    for counts, label in stream(8, 5):
        copied.learn_one(counts, label)
        copied.predict_one(counts)
    copied.remove_class("ant")
    assert original.snapshot() == SNAPSHOTS[name]


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("classes", [0, 1])
def test_networks_that_have_learnt_nothing(name: str, classes: int) -> None:
    network = CoLaNET(RULES[name], N)
    for label in LABELS[:classes]:
        network.add_class(label)
    again = CoLaNET.from_snapshot(network.snapshot())
    assert again.snapshot() == network.snapshot()
    assert again.labels == network.labels


def test_labels_of_every_script_survive() -> None:
    network = CoLaNET(Params(), 2)
    labels = ["Käse", "猫", "🐈", "a" * 200, "tab\there", "null\0"]
    for label in labels:
        network.add_class(label)
    assert CoLaNET.from_snapshot(network.snapshot()).labels == tuple(labels)


@pytest.mark.parametrize("name", RULES)
def test_equal_histories_give_equal_bytes(name: str) -> None:
    """The golden files pin the bytes themselves, over processes and machines."""
    assert taught(RULES[name], 12).snapshot() == SNAPSHOTS[name]


@pytest.mark.parametrize("name", RULES)
def test_truncated_at_every_length(name: str) -> None:
    data = SNAPSHOTS[name]
    for length in range(len(data)):
        with pytest.raises(StateCorrupt):
            CoLaNET.from_snapshot(data[:length])
    with pytest.raises(StateCorrupt, match="checksum"):
        CoLaNET.from_snapshot(data + b"\0")


@settings(max_examples=300, deadline=None)
@given(name=st.sampled_from(sorted(RULES)), where=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_flipped_bit(name: str, where: float, bit: int) -> None:
    data = bytearray(SNAPSHOTS[name])
    data[int(where * len(data))] ^= 1 << bit
    with pytest.raises(StateCorrupt):
        CoLaNET.from_snapshot(bytes(data))


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda tail: MAGIC + tail))
def test_anything_else(data: bytes) -> None:
    with pytest.raises(StateCorrupt):
        CoLaNET.from_snapshot(data)


def test_another_version_is_named() -> None:
    data = bytearray(SNAPSHOTS["published"])
    data[7] = 9
    with pytest.raises(StateCorrupt, match="version 9, this edge-app reads 1"):
        CoLaNET.from_snapshot(bytes(data))


def test_it_begins_and_is_summed_as_the_layout_says() -> None:
    data = SNAPSHOTS["decorrelated"]
    assert data[:8] == b"CoLaNET\x01"
    assert data[8:40] == hashlib.sha256(data[40:]).digest()
    length = int.from_bytes(data[40:44], "little")
    head = json.loads(data[44 : 44 + length])
    assert (head["labels"], head["n_learnt"], head["n_inputs"]) == (list(LABELS), 12, N)
    sizes = [int(np.prod(shape)) * np.dtype(dtype).itemsize for _, dtype, shape in head["arrays"]]
    assert len(data) == 44 + length + sum(sizes)


def forged(name: str, change: dict[str, Any], arrays: dict[str, Any]) -> bytes:
    """A snapshot whose checksum is right and whose content is not."""
    head, old = unpack(SNAPSHOTS[name])
    return pack({**head, **change}, {**old, **arrays})


FORGED = {
    "labels fewer than columns": ("published", {"labels": ["ant"]}, {}),
    "labels twice": ("published", {"labels": ["ant", "ant", "cat"]}, {}),
    "labels no text": ("published", {"labels": [1, 2, 3]}, {}),
    "labels null": ("published", {"labels": None}, {}),
    "n_inputs other": ("decorrelated", {"n_inputs": N + 1}, {}),
    "n_inputs text": ("decorrelated", {"n_inputs": "16"}, {}),
    "n_inputs huge": ("decorrelated", {"n_inputs": 2**40}, {}),
    "n_learnt negative": ("published", {"n_learnt": -1}, {}),
    "n_learnt text": ("published", {"n_learnt": "many"}, {}),
    "params unknown": ("published", {"params": {"rule": "magic"}}, {}),
    "params out of range": ("published", {"params": {"rule": "published", "tau": 0.5}}, {}),
    "params no mapping": ("published", {"params": 3}, {}),
    "rule of the other": ("published", {"params": {}}, {}),
    "array of another type": ("published", {}, {"stability": np.zeros(18, np.int64)}),
    "array of another shape": ("published", {}, {"stability": np.zeros(17, np.int32)}),
    "stability below 0": ("published", {}, {"stability": np.full(18, -1, np.int32)}),
    "stability far below 0": ("published", {}, {"stability": np.full(18, -(2**31), np.int32)}),
    "outstanding out of range": ("published", {}, {"outstanding": np.full(18, 2**60)}),
    "uses out of range": ("decorrelated", {}, {"uses": np.full(6, 65536, np.int32)}),
    "mean out of range": ("decorrelated", {}, {"mean": np.full((6, N), -1, np.int32)}),
    "drive out of range": ("decorrelated", {}, {"drive": np.full((6, N), 2**30 + 1, np.int32)}),
    "decorrelation out of range": ("decorrelated", {}, {"decorrelation": np.full(136, 2**30 + 1, np.int32)}),
    "keys of two dimensions": ("decorrelated", {}, {"keys": np.zeros((3, 1), np.int64)}),
}


@pytest.mark.parametrize(("name", "change", "arrays"), FORGED.values(), ids=FORGED)
def test_content_that_makes_no_network_is_refused(name: str, change: dict[str, Any], arrays: dict[str, Any]) -> None:
    with pytest.raises(StateCorrupt):
        CoLaNET.from_snapshot(forged(name, change, arrays))
    CoLaNET.from_snapshot(forged(name, {}, {}))


@pytest.mark.parametrize("missing", ["params", "n_inputs", "n_learnt", "labels"])
def test_a_key_that_is_missing_is_refused(missing: str) -> None:
    head, arrays = unpack(SNAPSHOTS["published"])
    del head[missing]
    with pytest.raises(StateCorrupt):
        CoLaNET.from_snapshot(pack(head, arrays))


def test_heads_that_are_no_head_are_refused() -> None:
    for text in (
        b"[]",
        b"3",
        b"{",
        b"{}",
        b'{"arrays": 3}',
        b'{"arrays": [["a", "O", [1]]]}',
        b"\xff",
        b'{"arrays": []}',
    ):
        body = len(text).to_bytes(4, "little") + text
        with pytest.raises(StateCorrupt):
            CoLaNET.from_snapshot(MAGIC + hashlib.sha256(body).digest() + body)
