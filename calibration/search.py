"""Search of the classifier's parameters on validation splits of training data.

    python -m calibration.search --data FOLDER

Objective: the mean over the rows (data set x shots) of a candidate's accuracy divided by that of the better of nearest
class mean and logistic regression on the same row and draw. Without the division easy rows would dominate. A trial
reports its mean after each data set; one that has seen each data set once is stopped if its mean is then below the
median of the earlier trials.

An existing study is continued; --trials is the number of trials of the whole study. Workers on other machines can share
it by the same --storage: a file that all can write, or any URL that Optuna's RDBStorage takes.
"""

import argparse
import json
import math
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import optuna
from optuna.study import MaxTrialsCallback
from optuna.trial import TrialState
from sqlalchemy.pool import NullPool

from calibration.candidates import RULES, Candidate, starts, suggest
from calibration.reference_rows import bar, reference
from calibration.validation import IMAGES_OF_A_CLASS, SOURCES, ValidationData, accuracies, load, sources
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.images import ImageEncoder
from edge_app.encoder.model import load_manifest
from edge_app.errors import EdgeAppError, InputError

RESULTS = Path(__file__).parent / "results"
DONE = (TrialState.COMPLETE, TrialState.PRUNED)


class SearchBench(NamedTuple):
    """Data sets, draws and reference accuracies for trying candidates."""

    materials: tuple[ValidationData, ...]
    bars: dict[tuple[str, int], dict[str, float]]
    """(data set, seed) -> row -> accuracy of the better baseline."""


def make_bench(names: Sequence[str], data: Path, cache: Path, seeds: Sequence[int], limit: int | None) -> SearchBench:
    """Embed what the draws need, and compute their baselines; both are kept in `cache`. Raises EdgeAppError."""
    with ImageEncoder(load_manifest(None)) as encoder:
        materials = tuple(load(source, data, encoder, seeds, cache=cache) for source in sources(names, limit))
    bars = {
        (material.source.name, seed): bar(reference(material, seed, cache)) for material in materials for seed in seeds
    }
    return SearchBench(materials, bars)


def relative_rows(
    candidate: Candidate, material: ValidationData, seed: int, bars: dict[str, float]
) -> dict[str, float]:
    """Return a candidate's accuracy over the better baseline's, by row, on one draw of one data set."""
    n_inputs = material.values.shape[1]
    counts = candidate.rate_code(n_inputs, material.zero_point)(material.values)
    found = accuracies(CoLaNET(candidate.params, n_inputs), material, counts, seed)
    return {row: value / bars[row] for row, value in found.items()}


def score(bench: SearchBench, candidate: Candidate, seed: int) -> dict[str, float]:
    """Return relative accuracies on one draw by "data set, row"."""
    return {
        f"{material.source.name}, {row}": value
        for material in bench.materials
        for row, value in relative_rows(candidate, material, seed, bench.bars[material.source.name, seed]).items()
    }


def objective(trial: optuna.Trial, bench: SearchBench, rule: str, seeds: Sequence[int]) -> float:
    """Try a candidate on all draws; the mean over rows and draws. Raises TrialPruned."""
    candidate = suggest(trial, rule)
    values: list[float] = []
    by_row: dict[str, list[float]] = {}
    step = 0
    for seed in seeds:
        for material in bench.materials:
            name = material.source.name
            for row, value in relative_rows(candidate, material, seed, bench.bars[name, seed]).items():
                values.append(value)
                by_row.setdefault(f"{name}, {row}", []).append(value)
            trial.report(fmean(values), step)
            step += 1
            # stopping after the last step would save nothing, and lose the trial's result
            if trial.should_prune() and step < len(seeds) * len(bench.materials):
                raise optuna.TrialPruned
    trial.set_user_attr("rows", {row: round(fmean(found), 5) for row, found in by_row.items()})
    return fmean(values)


def open_storage(where: str) -> optuna.storages.BaseStorage:
    """Return the storage of a URL, or of a journal file (made with its folder when missing). Raises InputError."""
    if "://" in where:
        try:
            # no pool: a study makes few requests, and a pool's connections would stay open until they are collected
            return optuna.storages.RDBStorage(where, engine_kwargs={"poolclass": NullPool})
        except Exception as error:
            # SQLAlchemy's message goes on with the statement and a link
            reason = str(error).splitlines()[0]
            raise InputError(f"storage {where.split('@')[-1]}: {reason}; expected a file or a database URL") from error
    from optuna.storages.journal import JournalFileBackend, JournalStorage

    try:
        Path(where).parent.mkdir(parents=True, exist_ok=True)
        return JournalStorage(JournalFileBackend(where))
    except OSError as error:
        raise InputError(f"storage {where}: {error.strerror or error}; name a file that can be written") from error


def open_study(storage: str, name: str, rule: str, seed: int, n_sets: int) -> optuna.Study:
    """Return the study, with the first candidates queued if it is new; n_sets: reports before a trial may stop."""
    study = optuna.create_study(
        storage=open_storage(storage),
        study_name=name,
        direction="maximize",
        load_if_exists=True,
        sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=12),
        # what suits one data set may not suit the next: none is stopped before it was tried on all
        pruner=optuna.pruners.MedianPruner(n_startup_trials=6, n_warmup_steps=n_sets - 1),
    )
    if not study.trials:
        for values in starts(rule):
            study.enqueue_trial(values, skip_if_exists=True)
    return study


def work(args: argparse.Namespace, number: int) -> None:
    """Run trials until the study has them all, or the time is over."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    bench = make_bench(args.sets, args.data, args.cache, args.draws, args.limit)
    study = open_study(args.storage, args.study, args.rule, args.seed, len(args.sets))
    if _finished(study) >= args.trials:
        return
    # a resumed study or a further worker goes on with random numbers of its own
    study.sampler = optuna.samplers.TPESampler(seed=args.seed + 1000 * len(study.trials) + number, n_startup_trials=12)
    study.optimize(
        lambda trial: objective(trial, bench, args.rule, args.draws),
        timeout=60 * args.minutes if args.minutes else None,
        callbacks=[MaxTrialsCallback(args.trials, states=DONE), _tell],
    )


def _finished(study: optuna.Study) -> int:
    return len(study.get_trials(deepcopy=False, states=DONE))


def _tell(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
    shown = f"{trial.value:.4f}" if trial.state == TrialState.COMPLETE else "stopped early"
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    best = max((done.value for done in complete if done.value is not None), default=math.nan)
    print(f"trial {trial.number}: {shown}; best {best:.4f}", file=sys.stderr, flush=True)


def compare(bench: SearchBench, best: Candidate, other: Candidate, seeds: Sequence[int]) -> dict[str, Any]:
    """Try two candidates on draws that the search did not use, paired; differences in the objective."""
    found = [score(bench, best, seed) for seed in seeds]
    against = [score(bench, other, seed) for seed in seeds]
    differences = [fmean(a.values()) - fmean(b.values()) for a, b in zip(found, against, strict=True)]
    error = stdev(differences) / math.sqrt(len(differences)) if len(differences) > 1 else math.nan
    return {
        "draws": list(seeds),
        "best": fmean(fmean(rows.values()) for rows in found),
        "other": fmean(fmean(rows.values()) for rows in against),
        "difference": fmean(differences),
        "standard_error": error,
        "best_rows": {row: fmean(rows[row] for rows in found) for row in found[0]},
        "other_rows": {row: fmean(rows[row] for rows in against) for row in against[0]},
    }


def run_workers(args: argparse.Namespace) -> None:
    """Run args.jobs workers; one runs in this process."""
    # not fork: the encoder of `make_bench` and numpy have threads, which a forked process would lack
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=work, args=(args, number)) for number in range(1, args.jobs)]
    for process in others:
        process.start()
    try:
        work(args, 0)
    finally:
        for process in others:
            process.join()
    if failed := [process.exitcode for process in others if process.exitcode]:
        raise InputError(f"{len(failed)} of {args.jobs} workers failed (status {failed[0]}); their messages are above")


def main(arguments: Sequence[str] | None = None) -> int:
    """Search, then compare the best set with the default and write the results."""
    from calibration.search_results import write_results

    args = parse(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    make_bench(args.sets, args.data, args.cache, args.draws, args.limit)  # so that workers find it done
    start = time.monotonic()
    study = open_study(args.storage, args.study, args.rule, args.seed, len(args.sets))
    run_workers(args)
    seconds = time.monotonic() - start
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if not complete:
        raise InputError(f"no trial of study {args.study} was completed; give it more --minutes")
    best = suggest(optuna.trial.FixedTrial(study.best_params), args.rule)
    comparison = None
    if args.compare:
        bench = make_bench(args.sets, args.data, args.cache, args.compare, args.limit)
        comparison = compare(bench, best, Candidate(Params()), args.compare)
    values = write_results(study, best, comparison, args)
    print(json.dumps(values, indent=1))
    print(f"{_finished(study)} trials in the study; this run took {seconds:.0f} s", file=sys.stderr)
    return 0


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Read the command line; study and storage are named after the rule."""
    parser = argparse.ArgumentParser(prog="python -m calibration.search", description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the data sets' zips")
    parser.add_argument("--cache", type=Path, default=Path(".cache/calibration"), help="embeddings and baselines")
    parser.add_argument("--rule", choices=RULES, default="decorrelated", help="plasticity rule (default: decorrelated)")
    parser.add_argument("--sets", nargs="+", choices=list(SOURCES), default=list(SOURCES), help="data sets")
    parser.add_argument("--draws", nargs="+", type=int, default=[0, 1], help="seeds of the draws (default: 0 1)")
    parser.add_argument(
        "--compare", nargs="*", type=int, default=[3, 4, 5, 6, 7, 8], help="seeds of the draws for the last comparison"
    )
    parser.add_argument("--limit", type=int, default=IMAGES_OF_A_CLASS, help="images of each imagenet64 class; 0: all")
    parser.add_argument("--trials", type=int, default=60, help="trials that the study comes to (default: 60)")
    parser.add_argument("--minutes", type=float, help="start no trial after this time")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="processes")
    parser.add_argument("--seed", type=int, default=0, help="of the sampler (default: 0)")
    parser.add_argument("--storage", help="journal file or database URL (default: a file in the cache)")
    parser.add_argument("--study", help="name of the study (default: the rule)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for the results")
    args = parser.parse_args(arguments)
    args.limit = args.limit or None
    args.study = args.study or args.rule
    args.storage = args.storage or str(args.cache / f"search-{args.rule}.journal")
    if args.jobs < 1 or args.trials < 1:
        parser.error("--jobs and --trials: expected at least 1")
    return args


if __name__ == "__main__":
    try:
        sys.exit(main())
    except EdgeAppError as error:
        print(f"search: {error}", file=sys.stderr)
        sys.exit(getattr(error, "exit_status", 1))
