"""The network's interface: decisions, adding and removing classes, clear errors, snapshots that continue."""

import dataclasses
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from edge_app.colanet import columns as columns_module
from edge_app.colanet import kernels
from edge_app.colanet.fixedpoint import label_key
from edge_app.colanet.network import MAX_LABEL, CoLaNET
from edge_app.colanet.params import Params, Published
from edge_app.errors import InputError, ParameterError, UnknownLabel
from support.twins import LABELS, RULES, N, stream, taught


@pytest.fixture(params=RULES, name="params")
def _params(request: pytest.FixtureRequest) -> Params:
    return RULES[request.param]


def test_it_tells_classes_apart_after_one_pass(params: Params) -> None:
    network = taught(params)
    held_out = stream(2, 60)
    assert np.mean([network.predict_one(counts).label == label for counts, label in held_out]) > 0.9
    assert network.n_learnt == 30
    assert network.labels == LABELS


def test_decision_says_spikes_first_spikes_and_margin(params: Params) -> None:
    network = taught(params)
    for counts, _ in stream(3, 30):
        decision = network.predict_one(counts)
        assert decision.labels == LABELS
        assert decision.spikes.dtype == decision.first_spike.dtype == np.int32
        assert decision.spikes.shape == decision.first_spike.shape == (3,)
        assert ((decision.first_spike == 15) == (decision.spikes == 0)).all()
        assert decision.label is not None
        ranked = sorted(decision.spikes.tolist())
        assert decision.spikes[LABELS.index(decision.label)] == ranked[-1]
        assert decision.margin == ranked[-1] - ranked[-2]


def test_no_class_no_spike_no_input_is_unknown(params: Params) -> None:
    counts = np.full(N, 10, np.uint8)
    network = CoLaNET(params, N)
    empty = network.predict_one(counts)
    assert (empty.label, empty.labels, empty.margin, empty.spikes.shape) == (None, (), 0, (0,))
    network.add_class("ant")
    silent = network.predict_one(counts)
    assert (silent.label, silent.spikes.tolist(), silent.first_spike.tolist()) == (None, [0], [15])
    assert taught(params).predict_one(np.zeros(N, np.uint8)).label is None or params.rule == "decorrelated"


def test_what_the_inputs_drive_adds_up_to_the_excitation(params: Params) -> None:
    network = taught(params)
    counts, label = stream(2, 1)[0]
    column = network.labels.index(label)
    drive = network.input_drive(counts, label)
    assert (drive.shape, drive.dtype) == (counts.shape, np.float64)
    assert not drive[counts == 0].any()
    other = network.input_drive(counts, next(name for name in LABELS if name != label))
    assert not np.allclose(drive, other)
    if params.rule == "decorrelated" and params.microcolumns * params.members == 1:  # no leak, and all is kept of it
        columns = network.columns
        tonic = columns.tonic[column] / columns.threshold[column]
        excitation = network.predict_one(counts).excitation[column] / 1024
        assert drive.sum() - tonic == pytest.approx(excitation, abs=2 / 1024)
    with pytest.raises(UnknownLabel):
        network.input_drive(counts, "gnu")
    with pytest.raises(InputError):
        network.input_drive(counts[:-1], label)


def test_a_single_class_is_recognised(params: Params) -> None:
    """Nothing to be told apart from: the class is still there."""
    network = CoLaNET(params, N)
    network.add_class("ant")
    counts = stream(1, 1)[0][0]
    for _ in range(20):
        network.learn_one(counts, "ant")
    decision = network.predict_one(counts)
    assert decision.label == "ant"
    assert decision.margin == decision.spikes[0]


def test_a_class_without_examples_stays_silent(params: Params) -> None:
    network = taught(params)
    before = [network.predict_one(counts) for counts, _ in stream(4, 20)]
    network.add_class("dog")
    for (counts, _), old in zip(stream(4, 20), before, strict=True):
        decision = network.predict_one(counts)
        assert decision.spikes[3] == 0
        assert decision.label == old.label
        assert decision.spikes[:3].tolist() == old.spikes.tolist()


def test_the_class_that_was_added_first_wins_a_tie() -> None:
    """Equal columns, with the same random stream."""
    params = Params(plasticity=Published(threshold=0.5, loss=0.0))
    network = CoLaNET(params, N)
    for name in ("second", "first"):
        network.add_class(name)
    network.columns.keys[:] = label_key("twin")
    counts = np.full(N, 10, np.uint8)
    for label in ("first", "second"):
        twin = CoLaNET(params, N)
        twin.add_class("twin")
        twin.learn_one(counts, "twin")
        column = network.labels.index(label)
        for name in ("resource", "stability", "outstanding", "threshold"):
            getattr(network.columns, name)[column] = getattr(twin.columns, name)[0]
        network.columns.weights[:, column] = twin.columns.weights[:, 0]
    decision = network.predict_one(counts)
    assert decision.spikes[0] == decision.spikes[1] > 0
    assert (decision.label, decision.margin) == ("second", 0)


def test_many_is_one_after_the_other(params: Params) -> None:
    data = stream(1, 30)
    counts, labels = np.stack([counts for counts, _ in data]), [label for _, label in data]
    network = CoLaNET(params, N)
    for label in LABELS:
        network.add_class(label)
    network.learn_many(counts, labels)
    one_by_one = taught(params)
    assert network.snapshot() == one_by_one.snapshot()
    for many, counts_of_one in zip(network.predict_many(counts), counts, strict=True):
        one = one_by_one.predict_one(counts_of_one)
        assert (many.label, many.margin, many.spikes.tolist()) == (one.label, one.margin, one.spikes.tolist())
    assert network.predict_many(counts[:0]) == []


def test_decisions_leave_no_trace(params: Params) -> None:
    network = taught(params)
    before = network.snapshot()
    network.predict_many(np.stack([counts for counts, _ in stream(5, 20)]))
    assert network.snapshot() == before


def test_a_decision_is_not_overwritten_by_the_next(params: Params) -> None:
    network = taught(params)
    decision = network.predict_one(stream(5, 1)[0][0])
    kept = decision.spikes.copy()
    network.predict_one(np.zeros(N, np.uint8))
    assert decision.spikes.tolist() == kept.tolist()


BAD_COUNTS: dict[str, tuple[Any, str]] = {
    "dtype": (np.zeros(N, np.int64), "spike counts are int64, expected uint8"),
    "float": (np.zeros(N, np.float32), "spike counts are float32"),
    "bool": (np.zeros(N, bool), "spike counts are bool"),
    "list": ([0] * N, "spike counts are list"),
    "none": (None, "spike counts are NoneType"),
    "short": (np.zeros(N - 1, np.uint8), r"shape \(15,\), expected \(16,\)"),
    "many": (np.zeros((1, N), np.uint8), r"shape \(1, 16\), expected \(16,\)"),
    "scalar": (np.array(3, np.uint8), r"shape \(\), expected \(16,\)"),
    "eleven": (np.array([0] * (N - 1) + [11], np.uint8), "a spike count is 11, expected 0..10"),
}


@pytest.mark.parametrize(("counts", "message"), BAD_COUNTS.values(), ids=BAD_COUNTS)
def test_counts_that_are_none_are_refused(params: Params, counts: Any, message: str) -> None:
    network = taught(params)
    before = network.snapshot()
    with pytest.raises(InputError, match=message):
        network.learn_one(counts, "ant")
    with pytest.raises(InputError, match=message):
        network.predict_one(counts)
    assert network.snapshot() == before


@pytest.mark.parametrize("counts", [np.zeros((2, N), np.int32), np.zeros(N, np.uint8), np.full((2, N), 255, np.uint8)])
def test_many_counts_that_are_none_are_refused(params: Params, counts: np.ndarray) -> None:
    network = taught(params)
    before = network.snapshot()
    for call in (lambda: network.learn_many(counts, ["ant", "bee"]), lambda: network.predict_many(counts)):
        with pytest.raises(InputError):
            call()
    assert network.snapshot() == before


CALLS: dict[str, tuple[Callable[[CoLaNET], object], type[Exception], str]] = {
    "learn unknown": (
        lambda n: n.learn_one(np.zeros(N, np.uint8), "yak"),
        UnknownLabel,
        "'yak' is not known.*ant, bee",
    ),
    "learn None": (lambda n: n.learn_one(np.zeros(N, np.uint8), None), UnknownLabel, "None is not known"),
    "many, last unknown": (
        lambda n: n.learn_many(np.full((2, N), 5, np.uint8), ["ant", "yak"]),
        UnknownLabel,
        "'yak' is not known",
    ),
    "many, too few labels": (
        lambda n: n.learn_many(np.full((2, N), 5, np.uint8), ["ant"]),
        InputError,
        "2 rows of counts came with 1 labels",
    ),
    "many, a bad row": (
        lambda n: n.learn_many(np.array([[5] * N, [11] * N], np.uint8), ["ant", "bee"]),
        InputError,
        "a spike count is 11",
    ),
    "add again": (lambda n: n.add_class("ant"), InputError, "'ant' exists already"),
    "add empty": (lambda n: n.add_class(""), InputError, "'' is not usable"),
    "add blank": (lambda n: n.add_class(" \t"), InputError, "is not usable, expected 1 to 200 characters"),
    "add long": (lambda n: n.add_class("x" * (MAX_LABEL + 1)), InputError, "is not usable"),
    "add number": (lambda n: n.add_class(3), InputError, "3 is not usable"),
    "add no Unicode": (lambda n: n.add_class("caf\udce9"), InputError, "is not usable"),
    "remove unknown": (lambda n: n.remove_class("yak"), UnknownLabel, "'yak' is not known"),
}


@pytest.mark.parametrize(("call", "error", "message"), CALLS.values(), ids=CALLS)
def test_what_cannot_be_done_says_why_and_changes_nothing(
    params: Params, call: Callable[[CoLaNET], object], error: type[Exception], message: str
) -> None:
    network = taught(params)
    before = network.snapshot()
    with pytest.raises(error, match=message):
        call(network)
    assert network.snapshot() == before


@pytest.mark.parametrize("value", [0, -1, 2.0, "2", None])
def test_threads_and_sizes_are_checked(params: Params, value: Any) -> None:
    with pytest.raises(InputError, match="threads"):
        CoLaNET(params, N, threads=value)
    with pytest.raises(InputError, match="threads"):
        CoLaNET.from_snapshot(CoLaNET(params, N).snapshot(), threads=value)
    with pytest.raises(ParameterError, match="n_inputs"):
        CoLaNET(params, value)


def test_a_removed_class_is_gone(params: Params) -> None:
    network = taught(params)
    network.remove_class("bee")
    assert network.labels == ("ant", "cat")
    with pytest.raises(UnknownLabel, match="'bee' is not known, expected one of: ant, cat"):
        network.learn_one(np.zeros(N, np.uint8), "bee")
    decisions = network.predict_many(np.stack([counts for counts, _ in stream(6, 30)]))
    assert all(decision.labels == ("ant", "cat") for decision in decisions)
    right = [d.label == label for d, (_, label) in zip(decisions, stream(6, 30), strict=True) if label != "bee"]
    assert np.mean(right) > 0.8
    for label in ("ant", "cat"):
        network.remove_class(label)
    assert network.predict_one(np.zeros(N, np.uint8)).label is None


@pytest.mark.parametrize("name", RULES)
def test_a_column_travels(name: str) -> None:
    """Removing the others leaves a column's own arrays as they were; under the published rule its weights too."""
    network = taught(RULES[name])
    own = slice(network.columns.per_column, 2 * network.columns.per_column)
    names = [*network.columns.neuron_arrays, *(("weights", "threshold", "tonic") if name == "published" else ())]
    before = {name: getattr(network.columns, name) for name in names}
    before = {name: (array[:, own] if name == "weights" else array[own]).copy() for name, array in before.items()}
    network.remove_class("ant")
    network.remove_class("cat")
    for array in names:
        assert np.array_equal(getattr(network.columns, array), before[array]), array
    assert network.predict_one(stream(1, 2)[1][0]).label == "bee"


def test_published_columns_do_not_depend_on_one_another() -> None:
    """A column sees its own class's spike and its own input: what others there are changes not a bit of it."""
    alone, together = (CoLaNET(RULES["published"], N) for _ in range(2))
    alone.add_class("bee")
    alone.add_class("rest")
    for label in LABELS:
        together.add_class(label)
    for counts, label in stream(1, 30):
        together.learn_one(counts, label)
        alone.learn_one(counts, label if label == "bee" else "rest")
    size = together.columns.per_column
    for name in together.columns.neuron_arrays:
        assert np.array_equal(getattr(alone.columns, name)[:size], getattr(together.columns, name)[size : 2 * size])


def test_threads_change_no_bit(params: Params, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = taught(params).snapshot()
    monkeypatch.setattr(columns_module, "WORK_A_THREAD", 1)
    for threads in (2, 3, 4, 7):
        assert taught(params, threads=threads).snapshot() == expected


def test_seed_matters_to_the_published_rule_alone() -> None:
    def state(params: Params, seed: int) -> bytes:
        network = taught(dataclasses.replace(params, seed=seed))
        return b"".join(array.tobytes() for array in network.columns.arrays().values())

    assert state(RULES["published"], 1) != state(RULES["published"], 2)
    assert state(RULES["decorrelated"], 1) == state(RULES["decorrelated"], 2)


def test_members_of_a_column_differ() -> None:
    columns = taught(RULES["published"]).columns
    assert columns.weights.shape == (N, 18)
    members = columns.weights.T.reshape(3, 2, -1)
    assert (members[:, 0] != members[:, 1]).any()


def compiled_signatures() -> int:
    return sum(len(kernel.signatures) for kernel in vars(kernels).values() if hasattr(kernel, "signatures"))


def test_counts_in_any_memory_layout_compile_nothing_new(params: Params) -> None:
    """Read-only, reversed or column-major arrays would each be a type of their own, seconds of compiling on a Pi."""
    network = taught(params)
    plain = np.ascontiguousarray(np.stack([counts for counts, _ in stream(7, 2)]))
    expected = [decision.spikes.tolist() for decision in network.predict_many(plain)]
    before = compiled_signatures()
    frozen = plain.copy()
    frozen.flags.writeable = False
    spread = np.zeros((2, 2 * N), np.uint8)
    spread[:, ::2] = plain
    for counts in (frozen, np.asfortranarray(plain), spread[:, ::2]):
        assert [decision.spikes.tolist() for decision in network.predict_many(counts)] == expected
        network.learn_one(counts[0], "ant")
        network = taught(params)
    assert compiled_signatures() == before > 5


def test_classes_that_come_and_go_compile_nothing_new(params: Params) -> None:
    network = taught(params)
    network.predict_one(stream(1, 1)[0][0])
    before = compiled_signatures()
    network.remove_class("bee")
    network.add_class("dog")
    again = CoLaNET.from_snapshot(network.snapshot())
    for net in (network, again):
        for counts, label in stream(9, 6):
            net.learn_one(counts, "dog" if label == "bee" else label)
            net.predict_one(counts)
    assert compiled_signatures() == before


def test_it_may_be_called_from_several_threads(params: Params) -> None:
    """A camera thread decides while a button thread teaches: nothing is lost, no decision is half of two states."""
    network = taught(params, 6)
    data = stream(10, 40)

    def decide() -> bool:
        decisions = network.predict_many(np.stack([counts for counts, _ in data]))
        return all(decision.spikes.size == len(decision.labels) for decision in decisions)

    def teach(part: int) -> bool:
        for counts, label in data[part::4]:
            network.learn_one(counts, label)
        network.add_class(f"new {part}")
        return True

    with ThreadPoolExecutor(8) as pool:
        jobs = [pool.submit(decide) for _ in range(4)] + [pool.submit(teach, part) for part in range(4)]
        assert all(job.result() for job in jobs)
    assert network.n_learnt == 46
    assert CoLaNET.from_snapshot(network.snapshot()).snapshot() == network.snapshot()
