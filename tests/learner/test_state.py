"""The learner with the real classifier and rate code."""

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.encoder.background import load_background
from edge_app.encoder.model import ModelManifest, load_manifest
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError, ModelMismatch
from edge_app.learner import Learner
from edge_app.learner.manifest import find_manifest
from edge_app.learner.rebuild import rebuild_for
from edge_app.storage.folder import database_path
from edge_app.storage.store import Store
from support.simple_network import folder_in_memory, present_again


@pytest.fixture
def tmp_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh folder."""
    yield from folder_in_memory(tmp_path_factory)


@pytest.fixture(scope="module")
def manifest() -> ModelManifest:
    return load_manifest()


def _embedding(number: int, size: int = 1280) -> np.ndarray:
    """An embedding of class number % 4, sparse as the encoder's are."""
    kind = np.random.default_rng(number % 4).gamma(0.5, 25, size)
    return np.clip(kind * np.random.default_rng(100 + number).gamma(4, 0.25, size), 0, 255).astype(np.uint8)


def _clean(folder: Path, manifest: ModelManifest, params: Params) -> bytes:
    """Return the snapshot of a CoLaNET that has learnt the stored journal one example at a time."""
    rate_code = RateCode.for_model(manifest)
    network = CoLaNET(params, rate_code.n_inputs, background=load_background(manifest))
    with Store.reader(database_path(folder)) as store:
        for entry in store.journal():
            if entry.label not in network.labels:
                network.add_class(entry.label)
            network.learn_one(rate_code(np.frombuffer(entry.embedding, np.uint8)), entry.label)
    return network.snapshot()


@pytest.mark.parametrize("preset", ["default", "paper"])
def test_every_way_to_a_journal_gives_the_same_bits(tmp_path: Path, manifest: ModelManifest, preset: str) -> None:
    params = Params.preset(preset)
    with Learner.open(tmp_path, manifest, params=params, threads=2) as learner:
        for i in range(30):
            learner.teach(_embedding(i), f"class {i % 4}", source="test")
            if i == 12:
                learner.save()
        assert learner.network_state() == _clean(tmp_path, manifest, params)
        assert [learner.classify(_embedding(100 + i)).label for i in range(4)] == [f"class {i}" for i in range(4)]
        learner.relabel(3, "class 1")
        learner.forget_example(1, background=True)
        learner.teach(_embedding(60), "class 3", source="test")
        learner.wait()
        assert learner.labels == ("class 1", "class 3", "class 0", "class 2")
        learner.merge_classes("class 2", "class 0")
        learner.rename_class("class 3", "last")
        learner.undo()
        present_again(learner, [5, 6])
        after = learner.network_state()
        assert after == _clean(tmp_path, manifest, params)
    with Learner.open(tmp_path, manifest) as learner:  # the parameters are those that it was taught with
        assert learner.network_state() == after
        assert learner.notices == ()
    with Learner.open(tmp_path, manifest, read_only=True) as learner:
        assert learner.network_state() == after


def test_a_snapshot_of_before_the_background_is_replayed_and_decides_alike(
    tmp_path: Path, manifest: ModelManifest
) -> None:
    with Learner.open(tmp_path, dataclasses.replace(manifest, background={})) as learner:
        for i in range(8):
            learner.teach(_embedding(i), f"class {i % 4}", source="test")
        learner.save()
        before = [learner.classify(_embedding(100 + i)) for i in range(4)]
    with Learner.open(tmp_path, manifest) as learner:
        after = [learner.classify(_embedding(100 + i)) for i in range(4)]
        assert "other background columns" in learner.notices[0]
        assert learner.network_state() == _clean(tmp_path, manifest, Params())
    assert [(d.label, d.spikes.tolist()) for d in after] == [(d.label, d.spikes.tolist()) for d in before]


def test_undo_gives_the_old_novelty_back_to_the_bit(tmp_path: Path, manifest: ModelManifest) -> None:
    with Learner.open(tmp_path, manifest) as learner:
        for i in range(8):
            learner.teach(_embedding(i), f"class {i % 4}", source="test")
        before = learner.classify(_embedding(100)).novelty
        learner.teach(_embedding(3), "class 0", source="slip")
        assert learner.classify(_embedding(100)).novelty != before
        learner.undo()
        assert learner.classify(_embedding(100)).novelty == before


def test_other_parameters_are_refused(tmp_path: Path, manifest: ModelManifest) -> None:
    with Learner.open(tmp_path, manifest) as learner:
        learner.teach(_embedding(1), "mug", source="test")
    with pytest.raises(ModelMismatch, match="other classifier parameters"):
        Learner.open(tmp_path, manifest, params=Params.preset("paper"))
    Learner.open(tmp_path, manifest, params=Params()).close()  # and the folder was let go


def test_a_state_is_bound_to_how_frames_are_prepared(tmp_path: Path, manifest: ModelManifest) -> None:
    with Learner.open(tmp_path, manifest) as learner:
        learner.teach(_embedding(1), "mug", source="test")
    other = replace(manifest, crop=0.5)
    with pytest.raises(ModelMismatch, match=r"prepared by 'square-1, crop .*', the model's manifest now says .*0\.5'"):
        Learner.open(tmp_path, other)
    done = rebuild_for(tmp_path, other)
    assert (done.examples, done.reencoded, done.lost) == (1, False, 0)
    with Learner.open(tmp_path, other) as learner:
        assert learner.examples()[0].before is not None, "the same network: what it predicted still counts"
    with pytest.raises(ModelMismatch, match="prepared by"):
        Learner.open(tmp_path, manifest, read_only=True)


def test_a_state_of_an_earlier_encoder_names_both_ways_out(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path_factory.mktemp("models")
    monkeypatch.setenv("EDGE_APP_MODELS", str(models))
    earlier = replace(manifest, name="earlier", sha256="ab" * 32)
    with Learner.open(tmp_path, earlier) as learner:
        learner.teach(_embedding(1), "mug", source="test")
    assert find_manifest(tmp_path, None).name == manifest.name
    ways = rf"rebuild --state .* --model {manifest.name}. .*which 0 of 1 have.* not installed: .edge-app models add"
    with pytest.raises(ModelMismatch, match=ways):
        Learner.open(tmp_path, manifest)
    text = manifest.manifest_path.read_text().replace(manifest.sha256, earlier.sha256)
    (models / "earlier.toml").write_text(text.replace(f'name = "{manifest.name}"', 'name = "earlier"'))
    with pytest.raises(ModelMismatch, match=r"To stay with the first: .--model earlier."):
        Learner.open(tmp_path, manifest)
    Learner.open(tmp_path, earlier).close()


def test_a_state_of_before_that_was_written_down_is_taken_and_bound(tmp_path: Path, manifest: ModelManifest) -> None:
    Learner.open(tmp_path, manifest).close()
    with Store.open(database_path(tmp_path)) as store:
        store.rebind(store.binding._replace(preprocessing=None))
    Learner.open(tmp_path, manifest, read_only=True).close()
    with Store.reader(database_path(tmp_path)) as store:
        assert store.binding.preprocessing is None
    Learner.open(tmp_path, manifest).close()
    with Store.reader(database_path(tmp_path)) as store:
        assert store.binding.preprocessing == f"square-1, crop {manifest.crop:g}"


def test_of_two_manifests_of_one_model_the_one_is_found_that_the_state_was_taught_with(
    tmp_path: Path, manifest: ModelManifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = tmp_path / "models"
    models.mkdir()
    text = manifest.manifest_path.read_text()
    for name in ("another", manifest.name):
        copy = text if name == manifest.name else re.sub(r"(?m)^crop = .*$", "crop = 0.5", text)
        copy = copy.replace(f'name = "{manifest.name}"', f'name = "{name}"')
        (models / f"{name}.toml").write_text(copy)
        for file in filter(None, (manifest.path, manifest.background_path)):
            (models / file.name).write_bytes(file.read_bytes())
    monkeypatch.setenv("EDGE_APP_MODELS", str(models))
    for name, crop in (("another", 0.5), (manifest.name, manifest.crop)):
        Learner.open(tmp_path / name, load_manifest(models / f"{name}.toml", check=False)).close()
        assert find_manifest(tmp_path / name, None).crop == crop


def test_nothing_to_read_is_an_error_and_makes_nothing(tmp_path: Path, manifest: ModelManifest) -> None:
    with pytest.raises(InputError, match="teach something first"):
        Learner.open(tmp_path / "none", manifest, read_only=True)
    assert not (tmp_path / "none").exists()


def test_an_empty_learner_knows_nothing(tmp_path: Path, manifest: ModelManifest) -> None:
    with Learner.open(tmp_path, manifest) as learner:
        decision = learner.classify(_embedding(1))
        assert decision.label is None
        assert decision.labels == ()
