"""Draws of a data set with their embeddings, spike counts and encoding times: the input of a protocol."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from edge_app.config import ConsolidationConfig
from edge_app.datasets.contents import Item
from edge_app.datasets.dataset import Dataset
from edge_app.datasets.listing import summarise
from edge_app.errors import InputError
from edge_app.evaluation.dreaming import make_dreams
from edge_app.evaluation.embedding import Embedded, StagedEmbedder, embed
from edge_app.evaluation.splits import Draw, draw
from edge_app.evaluation.trial import Dreams, EvaluationSettings, Progress, Rows, timed, warm_up
from edge_app.learner.replay import Network, RateCoder

TIMED_IMAGES = 50
"""Images that are encoded in spite of a cache, for their times."""


@dataclass
class EmbeddedDraws:
    """The draws of all repeats, embedded once."""

    rows: Rows
    draws: list[Draw]
    """One a repeat, indices into the data set's items."""
    counts: NDArray[np.uint8]
    """(m, n_inputs): spike counts of the rows."""
    times_ms: dict[str, list[float]]
    """Per stage, milliseconds of each image; `decide` and `learn` are filled by the trials."""
    notes: list[str]
    """Remarks on the data set for the report."""
    dreams: Dreams = dataclasses.field(default_factory=dict)
    """Altered examples that are learnt after the last pass."""

    def learnt(self, repeat: int) -> NDArray[np.intp]:
        """Rows to learn in a repeat, in no meaningful order."""
        return np.array([self.rows.row_of[i] for i in self.draws[repeat].train], np.intp)

    def tested(self, repeat: int) -> NDArray[np.intp]:
        """Rows to test in a repeat."""
        return np.array([self.rows.row_of[i] for i in self.draws[repeat].test], np.intp)


def prepare(
    dataset: Dataset,
    encoder: StagedEmbedder,
    rate_code: RateCoder,
    make_network: Callable[[], Network],
    setting: EvaluationSettings,
    *,
    cache: str | None = None,
    progress: Progress = lambda what, items: items,
) -> EmbeddedDraws:
    """Draw and embed the images that the settings need; repeat r is drawn with seed `setting.seed + r`.

    `progress(what, items)` wraps the long lists. Raises InputError if no image is left to learn or to test.
    """
    dataset.require_classes()
    draws, rows = _embed_draws(dataset, encoder, setting, cache, progress)
    first = draws[0]
    if not first.train or not first.test:
        what = "to learn" if not first.train else "to test"
        why = f"; left out first: {rows.skipped[0].name}: {rows.skipped[0].reason}" if rows.skipped else ""
        raise InputError(
            f"data set {dataset.path}: no image left {what} ({len(first.train)} to learn, {len(first.test)} to test, "
            f"{len(rows.skipped)} left out); a test needs two images of some class{why}"
        )
    # with a full cache nothing was encoded, and there would be no times
    _time_encoder(dataset, encoder, rows)
    times: dict[str, list[float]] = {stage: [] for stage in ("rate_code", "decide", "learn")}
    # on a network that is thrown away
    warm_up(rate_code, make_network(), rows.values[0])
    counts = np.stack([timed(times["rate_code"], rate_code, row) for row in rows.values])
    taken = dict(encoder.times_ms)
    found = EmbeddedDraws(rows, draws, counts, taken | times, _notes(dataset, rows, first, setting))
    return with_dreams(found, dataset, encoder, rate_code, setting, cache=cache, progress=progress)


def with_dreams(
    material: EmbeddedDraws,
    dataset: Dataset,
    encoder: StagedEmbedder,
    rate_code: RateCoder,
    setting: EvaluationSettings,
    *,
    cache: str | None = None,
    progress: Progress = lambda what, items: items,
) -> EmbeddedDraws:
    """Return the draws with the dreams that the settings ask for. Raises InputError."""
    if not setting.dreams:
        return material
    learnt = [material.learnt(repeat) for repeat in range(setting.repeats)]
    dreams = make_dreams(
        dataset,
        encoder,
        rate_code,
        material.rows,
        learnt,
        ConsolidationConfig(dreams=setting.dreams),
        cache=cache,
        progress=progress,
    )
    return dataclasses.replace(material, dreams=dreams)


def redraw(material: EmbeddedDraws, dataset: Dataset, setting: EvaluationSettings) -> EmbeddedDraws:
    """Return the draws of other settings, from the images that are embedded already."""
    missing = frozenset(range(len(dataset.items))) - material.rows.row_of.keys()
    draws = _draw_all(dataset, setting, missing)
    # the times of other draws would be mixed in
    times: dict[str, list[float]] = {stage: [] for stage in material.times_ms}
    notes = _notes(dataset, material.rows, draws[0], setting)
    return dataclasses.replace(material, draws=draws, times_ms=times, notes=notes)


def _draw_all(dataset: Dataset, setting: EvaluationSettings, excluded: frozenset[int]) -> list[Draw]:
    return [
        draw(
            dataset.items,
            setting.choice,
            seed=setting.seed + repeat,
            shots=setting.shots,
            limit=setting.limit,
            excluded=excluded,
        )
        for repeat in range(setting.repeats)
    ]


def _embed_draws(
    dataset: Dataset, encoder: StagedEmbedder, setting: EvaluationSettings, cache: str | None, progress: Progress
) -> tuple[list[Draw], Rows]:
    """Draw and embed until every draw has readable images only; other images are not opened."""
    index = {item: i for i, item in enumerate(dataset.items)}
    parts: list[Embedded] = []
    row_of: dict[int, int] = {}
    corrupt: set[int] = set()
    while True:
        draws = _draw_all(dataset, setting, frozenset(corrupt))
        wanted = sorted({i for one in draws for i in (*one.train, *one.test)} - row_of.keys())
        # a corrupt image is replaced by the next of its class, which may be corrupt too: until nothing is missing
        if not wanted:
            break
        part = embed(
            dataset,
            encoder,
            items=[dataset.items[i] for i in wanted],
            cache=cache,
            progress=lambda items: progress("encoding", items),
        )
        for item in part.items:
            row_of[index[item]] = len(row_of)
        corrupt |= set(wanted) - row_of.keys()
        parts.append(part)
    items: tuple[Item, ...] = tuple(item for part in parts for item in part.items)
    values = [part.values for part in parts if len(part.values)]
    return draws, Rows(
        row_of,
        np.concatenate(values) if values else np.zeros((0, 0), np.uint8),
        np.concatenate([part.labels for part in parts]) if parts else np.zeros(0, np.intp),
        tuple(item.name for item in items),
        dataset.classes,
        encoder.zero_point,
        tuple(skipped for part in parts for skipped in part.skipped),
    )


def _time_encoder(dataset: Dataset, encoder: StagedEmbedder, rows: Rows) -> None:
    missing = min(TIMED_IMAGES, len(rows.row_of)) - len(encoder.times_ms["encode"])
    for index in list(rows.row_of)[: max(missing, 0)]:
        encoder.embed(dataset.read(dataset.items[index]))


def _notes(dataset: Dataset, rows: Rows, one: Draw, setting: EvaluationSettings) -> list[str]:
    """Return remarks on the data set for readers of the figures."""
    items = dataset.items
    taught = {items[i].label for i in one.train}
    tested = {items[i].label for i in one.test}
    notes = []
    for what, labels in (
        ("class folders without an image", dataset.empty_classes),
        ("classes tested but never learnt (always wrong)", sorted(tested - taught)),
        ("classes learnt but not tested", sorted(taught - tested)),
    ):
        if labels:
            notes.append(f"{what}: {', '.join(labels)}")
    if setting.shots is not None:
        counts = {label: sum(items[i].label == label for i in one.train) for label in sorted(taught)}
        short = [f"{label} ({count})" for label, count in counts.items() if count < setting.shots]
        if short:
            notes.append(f"classes with fewer than {setting.shots} images to learn: {', '.join(short)}")
    return [*notes, *dataset.notes, *summarise(dataset.left_out)]
