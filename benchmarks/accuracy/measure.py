"""Runs the plan: every row of CoLaNET and of the conventional classifiers, and every protocol."""

import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.accuracy import plan
from benchmarks.accuracy.plan import PlannedSet, row_name
from benchmarks.accuracy.results_file import ResultsFile
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.config import ConsolidationConfig
from edge_app.datasets.dataset import Dataset
from edge_app.encoder.background import load_background
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError
from edge_app.evaluation import baselines
from edge_app.evaluation.continual import ONE_PASS, REGIMES, ContinualPlan, in_regime, run_continual
from edge_app.evaluation.dreaming import VERSION as DREAMS_VERSION
from edge_app.evaluation.embedded_draws import EmbeddedDraws, prepare, redraw, with_dreams
from edge_app.evaluation.newcomer import run_newcomer
from edge_app.evaluation.openset import run_openset
from edge_app.evaluation.protocol import evaluate, evaluate_noisy, measure_complexity
from edge_app.evaluation.splits import choose_splits, presentation_order
from edge_app.evaluation.strangers import run_strangers
from edge_app.evaluation.trial import EvaluationSettings, run_baselines
from edge_app.evaluation.tuning import GRIDS, choose

VERSION = 4
"""Increased when the same inputs give other figures because the measuring code changed."""
NOVELTY_VERSION = 3
"""The same for what depends on novelty or confidence: the rows of CoLaNET, openset, strangers, the demo."""
BASELINES_VERSION = 1
"""The same for the conventional classifiers' rows."""
METRICS_VERSION = 1
"""The same for the counted operations."""
ORDERLESS = ("nearest_class_mean", "knn1", "knn3", "streaming_lda", "logistic_regression")
"""Baselines that do not depend on the order of the examples, or only by rounding."""


def show(what: str, items: Sequence[Any]) -> Iterable[Any]:
    """A progress bar on standard error, where that is a terminal."""
    from edge_app.commands.output import show_progress

    return show_progress(what, items)


class Measured:
    """One data set, embedded once, and its entries in the results file."""

    def __init__(self, one: PlannedSet, data: Path, cache: Path, ledger: ResultsFile, params: Params) -> None:
        self.set, self.ledger, self.params, self.cache = one, ledger, params, str(cache)
        manifest = load_manifest(None)
        self.rate_code, self.background = RateCode.for_model(manifest), load_background(manifest)
        self.dataset = Dataset(data / one.file)
        self.choice = choose_splits(self.dataset.splits)
        with ImageEncoder(manifest) as encoder:
            self.whole = prepare(
                self.dataset,
                encoder,
                self.rate_code,
                self.network,
                EvaluationSettings(self.choice),
                cache=self.cache,
                progress=show,
            )
        rows = self.whole.rows
        digest = hashlib.sha256(rows.values.tobytes())
        digest.update(repr((rows.labels.tolist(), rows.names, rows.zero_point)).encode())
        self.digest = digest.hexdigest()

    def network(self, params: Params | None = None) -> CoLaNET:
        """A network that has learnt nothing, with the measured parameters or others."""
        return CoLaNET(params or self.params, self.rate_code.n_inputs, background=self.background)

    def setting(self, shots: int | None, **more: Any) -> EvaluationSettings:
        """The setting of a row; its baselines at their best."""
        more = {"repeats": self.set.repeats, "shots": shots, "baselines": ()} | more
        return EvaluationSettings(self.choice, **more)

    def material(self, setting: EvaluationSettings) -> EmbeddedDraws:
        """The draws of a setting."""
        return redraw(self.whole, self.dataset, setting)

    def made_of(
        self, setting: EvaluationSettings, *, params: Params | None = None, conventional: bool = False
    ) -> list[Any]:
        """Everything that a result depends on, as JSON values."""
        asked = dataclasses.asdict(setting) | {"choice": list(self.choice), "options": repr(setting.options)}
        if not setting.dreams:
            del asked["dreams"]  # what knows no dreams stays as it was measured
        if conventional:
            return [BASELINES_VERSION, self.digest, asked]
        return [VERSION, self.digest, asked, (params or self.params).digest, self.rate_code.digest]

    # rows

    def options(self, shots: int | None) -> dict[str, dict[str, float]]:
        """The baselines' settings for a row, chosen inside the training data of seed 0."""
        setting = self.setting(None, repeats=1)
        made_of = [*self.made_of(setting, conventional=True), repr(GRIDS), shots]

        def action() -> dict[str, dict[str, float]]:
            rows = self.whole.rows
            train = self.whole.learnt(0)
            units = baselines.unit_rows(rows.values[train], rows.zero_point)
            names = [rows.names[row] for row in train]
            return choose(units, rows.labels[train], names, len(rows.classes), shots=shots)

        found: dict[str, dict[str, float]] = self.ledger.measure(
            f"options/{self.set.name}/{row_name(shots)}", made_of, action
        )
        return found

    def conventional(self, shots: int | None) -> dict[str, Any]:
        """Accuracy of the baselines in a row, mean and standard deviation over the repeats."""
        setting = self.setting(shots, baselines=None, options=self.options(shots))

        def action() -> dict[str, Any]:
            material = self.material(setting)
            accuracies = [self._baselines(material, setting, repeat) for repeat in range(setting.repeats)]
            by_name = {name: [one[name] for one in accuracies if name in one] for name in accuracies[0]}
            return {
                "accuracy": {name: float(np.mean(values)) for name, values in by_name.items()},
                "std": {name: float(np.std(values)) for name, values in by_name.items()},
            }

        made_of = self.made_of(setting, conventional=True)
        found: dict[str, Any] = self.ledger.measure(f"baselines/{self.set.name}/{row_name(shots)}", made_of, action)
        return found

    def _baselines(self, material: EmbeddedDraws, setting: EvaluationSettings, repeat: int) -> dict[str, float]:
        rows, train, test = material.rows, material.learnt(repeat), material.tested(repeat)
        ordered = train[presentation_order([rows.names[row] for row in train], setting.seed + repeat, 0)]
        # the same images in another order: classifiers that ignore the order would only be measured again
        if setting.shots is None and self.set.official_split and repeat > 0:
            again = tuple(name for name in baselines.available() if name not in ORDERLESS)
            setting = dataclasses.replace(setting, baselines=again)
        return run_baselines(rows, ordered, rows.labels[ordered], test, setting)

    def colanet(self, shots: int | None, preset: str = "default") -> dict[str, Any]:
        """The standard evaluation of CoLaNET in a row."""
        published = preset != "default"
        params = Params.preset(preset) if published else self.params
        setting = self.setting(shots, repeats=1 if published else self.set.repeats)

        def action() -> dict[str, Any]:
            values = evaluate(self.material(setting), lambda: self.network(params), setting, progress=show).to_dict()
            drop = {"ms", "skipped", "notes", "baselines", "baselines_std", "baseline_options"}
            n_classes = len(values["classes"])
            # results.json is in the repository: matrices of many classes would fill it, and no page shows them
            drop |= {"confusion", "per_class"} if n_classes > 20 or shots or published else set()
            drop |= {"classes"} if "confusion" in drop else set()
            return {key: value for key, value in values.items() if key not in drop} | {"n_classes": n_classes}

        key = f"colanet/{self.set.name}/{row_name(shots)}" + (f"/{preset}" if published else "")
        found: dict[str, Any] = self.ledger.measure(
            key, [*self.made_of(setting, params=params), NOVELTY_VERSION], action
        )
        return found

    def consolidated(self, shots: int | None) -> dict[str, Any]:
        """Accuracy of a row before and after the dreams of idle time."""
        setting = self.setting(shots, dreams=plan.DREAMS)

        def action() -> dict[str, Any]:
            with ImageEncoder(load_manifest(None)) as encoder:
                material = with_dreams(
                    self.material(setting),
                    self.dataset,
                    encoder,
                    self.rate_code,
                    setting,
                    cache=self.cache,
                    progress=show,
                )
            values = evaluate(material, self.network, setting, progress=show).to_dict()
            found: dict[str, Any] = values["consolidated"] | {"before": values["accuracy"]}
            return found

        key, usual = f"consolidated/{self.set.name}/{row_name(shots)}", ConsolidationConfig()
        found: dict[str, Any] = self.ledger.measure(
            key, [*self.made_of(setting), DREAMS_VERSION, (usual.dreams, usual.per_class, usual.rehearsals)], action
        )
        return found

    # protocols

    def continual(self, preset: str = "default") -> dict[str, Any]:
        """Classes one after another, in both regimes."""
        published = preset != "default"
        limit = plan.PRESET_LIMIT if published else self.set.limit
        setting = self.setting(None, repeats=1, limit=limit, baselines=None, options=self.options(None))
        tasks = ContinualPlan(self.set.per_task, 0 if published else self.set.rehearse)
        base = Params.preset(preset) if published else self.params
        regimes = {regime: in_regime(base, regime) for regime in REGIMES}

        def action() -> dict[str, Any]:
            material = self.material(setting)
            return {
                regime: run_continual(material, partial(self.network, params), setting, tasks, progress=show)
                for regime, params in regimes.items()
            }

        made_of = [*self.made_of(setting), dataclasses.astuple(tasks), [one.digest for one in regimes.values()]]
        key = f"continual/{self.set.name}" + (f"/{preset}" if published else "")
        found: dict[str, Any] = self.ledger.measure(key, made_of, action)
        return found

    def newcomer(self, shots: int | None) -> dict[str, Any]:
        """A class after all others, which were taught with `shots` examples."""
        setting = self.setting(shots, repeats=1, limit=self.set.limit, baselines=ONE_PASS, options=self.options(shots))
        tried = (plan.NEWCOMER_SHOTS, plan.NEWCOMERS if len(self.dataset.classes) > 10 else 10)
        found: dict[str, Any] = self.ledger.measure(
            f"newcomer/{self.set.name}/{row_name(shots)}",
            [*self.made_of(setting), tried],
            lambda: run_newcomer(
                self.material(setting), self.network, setting, shots=tried[0], choices=tried[1], progress=show
            ),
        )
        return found

    def openset(self, shots: int | None) -> dict[str, Any]:
        """Half of the classes taught, all shown."""
        limit = None if shots else self.set.limit
        setting = self.setting(shots, repeats=plan.OPENSET_REPEATS, limit=limit, options=self.options(shots))
        found: dict[str, Any] = self.ledger.measure(
            f"openset/{self.set.name}/{row_name(shots)}",
            [*self.made_of(setting), NOVELTY_VERSION],
            lambda: run_openset(self.material(setting), self.network, setting, progress=show),
        )
        return found

    def strangers(
        self, classes: int, shots: int, kinds: Mapping[str, tuple[NDArray[np.uint8], NDArray[np.uint8]]]
    ) -> dict[str, Any]:
        """A few classes taught; how many quite other pictures, {kind: (embeddings, counts)}, get a name."""
        setting = self.setting(shots, repeats=plan.STRANGER_REPEATS, options=self.options(shots))
        digests = [hashlib.sha256(embeddings.tobytes()).hexdigest() for embeddings, _ in kinds.values()]
        found: dict[str, Any] = self.ledger.measure(
            f"strangers/{self.set.name}/{classes}x{row_name(shots)}",
            [*self.made_of(setting), NOVELTY_VERSION, classes, digests],
            lambda: run_strangers(self.material(setting), self.network, setting, classes, kinds),
        )
        return found

    def everything(self) -> None:
        """All rows and protocols of this data set but the baselines' rows."""
        for shots in self.set.shots:
            self.colanet(shots)
            self.consolidated(shots)
        for taught in (None, plan.NEWCOMER_SHOTS):
            self.openset(taught)
            self.newcomer(taught)
        self.continual()
        self.metrics()
        self.noisy()
        if self.set.name == "sign_digits":
            for preset in plan.PRESETS:
                for shots in plan.PRESET_SHOTS:
                    self.colanet(shots, preset)
            self.continual("paper")

    def noisy(self) -> dict[str, Any]:
        """Wrong labels, beside all baselines."""
        setting = self.setting(None, repeats=1, limit=self.set.limit, baselines=None, options=self.options(None))

        def action() -> dict[str, Any]:
            values = evaluate_noisy(self.material(setting), self.network, setting, plan.NOISE, progress=show)
            return {key: values[key] for key in ("clean", "noisy", "n_train", "n_test")}

        found: dict[str, Any] = self.ledger.measure(
            f"noisy/{self.set.name}", [*self.made_of(setting), plan.NOISE], action
        )
        return found

    def metrics(self) -> dict[str, Any]:
        """NeuroBench's metrics."""
        setting = self.setting(None, repeats=1, limit=self.set.limit)
        found: dict[str, Any] = self.ledger.measure(
            f"metrics/{self.set.name}",
            [*self.made_of(setting), METRICS_VERSION],
            lambda: measure_complexity(self.material(setting), self.network),
        )
        return found


def measure_all(
    data: Path, cache: Path, ledger: ResultsFile, sets: Sequence[PlannedSet], *, conventional_only: bool
) -> dict[str, Measured]:
    """Run the plan for some data sets, without the results that are in the file already; return them by name.

    Raises InputError without scikit-learn: a table without logistic regression would not be the table.
    """
    if "logistic_regression" not in baselines.available():
        raise InputError("logistic regression needs scikit-learn, which is not installed: pip install 'edge-app[dev]'")
    every = {one.name: Measured(one, data, cache, ledger, Params()) for one in sets}
    for measured in every.values():
        for shots in measured.set.shots:
            measured.conventional(shots)
        if not conventional_only:
            measured.everything()
    return every
