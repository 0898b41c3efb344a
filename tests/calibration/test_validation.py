import dataclasses
from pathlib import Path

import numpy as np
import pytest

from calibration.validation import SOURCES, Curve, accuracies, draw_curve, load, sources
from edge_app.colanet.network import CoLaNET
from edge_app.colanet.params import Params
from edge_app.datasets.contents import Item
from edge_app.encoder.ratecode import RateCode
from edge_app.errors import InputError
from edge_app.evaluation.splits import SplitChoice, draw
from support.evaluation_material import coloured, items, loaded, separable
from support.pictures import ColourEmbedder

SIZES = {"a": 50, "b": 43, "c": 12}


def members(curve: Curve) -> list[int]:
    return [i for stage in curve.stages for i in stage.learn]


@pytest.mark.parametrize("name", list(SOURCES))
@pytest.mark.parametrize("seed", range(5))
def test_nothing_is_learnt_and_tested_nor_learnt_twice(name: str, seed: int) -> None:
    source = SOURCES[name]
    curve = draw_curve(items(source.split, SIZES), source, seed)
    used = [*members(curve), *curve.test]
    assert len(set(used)) == len(used)
    assert len(curve.test) > 10


@pytest.mark.parametrize("name", ["grocery", "imagenet64"])
def test_the_test_split_is_never_drawn_from(name: str) -> None:
    both = sorted([*items("train", SIZES), *items("test", SIZES)])
    for seed in range(6):
        curve = draw_curve(both, SOURCES[name], seed)
        assert {both[i].split for i in (*members(curve), *curve.test)} == {"train"}


def test_what_evaluate_tests_with_seed_0_is_never_drawn() -> None:
    signs = items("all", SIZES)
    tested = set(draw(signs, SplitChoice("all", None), seed=0).test)
    drawn = set()
    for seed in range(20):
        curve = draw_curve(signs, SOURCES["sign_digits"], seed)
        drawn |= {*members(curve), *curve.test}
    assert len(tested) == 21
    assert drawn == set(range(len(signs))) - tested


def test_stages_add_up_to_the_shots_of_each_class() -> None:
    signs = items("all", {"a": 50, "b": 43, "c": 12})
    curve = draw_curve(signs, SOURCES["sign_digits"], 3)
    assert [stage.row for stage in curve.stages] == ["1", "5", "10", "20", "all"]
    seen: list[str] = []
    counts = []
    for stage in curve.stages:
        seen += [signs[i].label for i in stage.learn]
        counts.append([seen.count(label) for label in "abc"])
    # c has 10 images to learn from: 2 of 12 are kept for evaluate's test, a quarter of 10 is held out
    assert counts == [[1, 1, 1], [5, 5, 5], [10, 10, 8], [20, 20, 8], [30, 26, 8]]


def test_a_third_is_held_out_with_its_neighbours_left_out() -> None:
    shop = items("train", {"milk": 30})
    held_out = []
    for seed in range(3):
        curve = draw_curve(shop, SOURCES["grocery"], seed)
        test = sorted(curve.test)
        assert test == list(range(10 * seed, 10 * seed + 10))
        assert set(members(curve)) == set(range(30)) - set(range(10 * seed - 1, 10 * seed + 11))
        held_out += test
    assert held_out == list(range(30))
    assert set(draw_curve(shop, SOURCES["grocery"], 4).test) == set(range(10, 20))


def test_the_limit_holds_for_each_class_and_keeps_to_the_same_images() -> None:
    source = sources(["imagenet64"], limit=20)[0]
    many = items("train", {"a": 90, "b": 70})
    used = [{*members(curve), *curve.test} for curve in (draw_curve(many, source, seed) for seed in range(3))]
    assert used[0] == used[1] == used[2]
    assert sorted(many[i].label for i in used[0]) == ["a"] * 20 + ["b"] * 20
    assert len(draw_curve(many, source, 0).test) == 10
    every = dataclasses.replace(source, limit=None)
    curve = draw_curve(many, every, 0)
    assert len(members(curve)) + len(curve.test) == 160


def test_a_draw_depends_on_its_seed_alone() -> None:
    signs = items("all", SIZES)
    again = draw_curve(items("all", SIZES), SOURCES["sign_digits"], 1)
    assert draw_curve(signs, SOURCES["sign_digits"], 1) == again
    assert draw_curve(signs, SOURCES["sign_digits"], 2) != again


def test_unknown_data_set_and_limit_without_a_quarter() -> None:
    with pytest.raises(InputError, match=r"data set 'cifar' is not known here, expected one of sign_digits, grocery"):
        sources(["grocery", "cifar"])
    with pytest.raises(InputError, match="limit = 3"):
        sources(["imagenet64"], limit=3)


def test_only_images_of_the_draws_are_embedded(tmp_path: Path) -> None:
    embedder = ColourEmbedder()
    material = load(sources(["sign_digits"])[0], coloured(tmp_path), embedder, (0, 1))
    assert embedder.asked == len(material.values) == 48  # 3 x 20 less the fifth that evaluate tests
    assert material.classes == ("blue", "green", "red")
    for curve in material.curves.values():
        assert sorted([*members(curve), *curve.test]) == list(range(48))


def test_rows_are_the_images_of_their_class(tmp_path: Path) -> None:
    material = loaded(tmp_path)
    channel = material.values.reshape(-1, 16, 3).mean(axis=1).argmax(axis=1)
    assert (channel == np.array([2, 1, 0])[material.labels]).all()


def test_a_corrupt_image_is_named(tmp_path: Path) -> None:
    class Refusing(ColourEmbedder):
        def embed(self, data: bytes) -> np.ndarray:
            raise InputError("no picture")

    with pytest.raises(InputError, match=r"all/blue/\d+.png: no picture; validation needs all of its images"):
        load(sources(["sign_digits"])[0], coloured(tmp_path), Refusing(), (0,))


def test_accuracy_is_measured_after_each_stage() -> None:
    material = separable()
    network = CoLaNET(Params(), 24)
    found = accuracies(network, material, RateCode(24)(material.values), 0)
    assert list(found) == ["1", "5", "all"]
    assert network.n_learnt == 32
    assert sorted(network.labels) == ["a", "b", "c", "d"]
    assert found["all"] == 1.0


def test_unknown_counts_as_wrong() -> None:
    material = separable()
    found = accuracies(CoLaNET(Params(), 24), material, np.zeros_like(material.values), 0)
    assert set(found.values()) == {0.0}


def test_the_real_data_sets_have_all_rows(shared_data: Path) -> None:
    from edge_app.datasets.dataset import Dataset

    for source in sources(list(SOURCES)):
        with Dataset(shared_data / source.file) as dataset:
            listed: tuple[Item, ...] = dataset.items
            curve = draw_curve(listed, source, 0)
        assert [stage.row for stage in curve.stages] == [*map(str, source.shots), "all"]
        assert len(curve.stages[0].learn) == len({listed[i].label for i in curve.test})
