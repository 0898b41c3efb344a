"""Views put together from photographs."""

from pathlib import Path

import numpy as np
import pytest

from edge_app.devices.ports import NS_PER_S
from edge_app.errors import DeviceError, RuntimeMissing
from edge_app.simulation import photographs as photographs_module
from edge_app.simulation import scene as scene_module
from edge_app.simulation.photographs import Photographs, load_photographs
from edge_app.simulation.scene import PhotographScene, Shot, endless_shots

pytest.importorskip("skimage", reason="needs scikit-image: pip install 'edge-app[demo]'")


@pytest.fixture(scope="module")
def photographs() -> Photographs:
    return load_photographs()


def test_a_view_is_a_function_of_the_time(photographs: Photographs) -> None:
    one, other = (PhotographScene(photographs, endless_shots(photographs, 3)) for _ in range(2))
    for _ in range(5):
        one.image(2 * NS_PER_S)
    assert np.array_equal(one.image(NS_PER_S), other.image(NS_PER_S))
    assert not np.array_equal(one.image(NS_PER_S), one.image(NS_PER_S + NS_PER_S // 30))


def test_views_have_the_size_asked_for(photographs: Photographs) -> None:
    image = PhotographScene(photographs, endless_shots(photographs, 0), size=(320, 200)).image(0)
    assert image.shape == (200, 320, 3)
    assert image.dtype == np.uint8


def test_seeds_differ(photographs: Photographs) -> None:
    one, other = (PhotographScene(photographs, endless_shots(photographs, seed)) for seed in (1, 2))
    assert not np.array_equal(one.image(0), other.image(0))


def test_every_object_is_shown_once_a_round(photographs: Photographs) -> None:
    scene = PhotographScene(photographs, endless_shots(photographs, 5), shot_s=1.0)
    count = len(photographs.objects)
    for turn in range(3):
        shown = [scene.truth((turn * count + place) * NS_PER_S) for place in range(count)]
        assert sorted(shown) == sorted(photographs.objects)


@pytest.mark.parametrize("spread", [0.0, 1.0])
def test_the_object_can_be_seen(photographs: Photographs, spread: float) -> None:
    for name in photographs.objects:
        shot = Shot(name, 0, "teach", 11, spread)
        with_it = PhotographScene(photographs, lambda _, shot=shot: shot).image(0)
        without = PhotographScene(photographs, lambda _, shot=shot: shot._replace(name=None)).image(0)
        changed = np.abs(with_it.astype(int) - without).max(axis=2) > 20
        assert changed.mean() > 0.02, name


def test_tests_show_other_backgrounds_coins_and_wheels(photographs: Photographs) -> None:
    for name in ("coin", "wheel", "motorbike"):
        assert not set(photographs.views(name, "teach")) & set(photographs.views(name, "test"))
    teach, test = photographs_module.BACKGROUNDS["teach"], photographs_module.BACKGROUNDS["test"]
    assert not set(teach) & set(test)


def test_an_object_half_out_of_the_frame_is_cut_off(photographs: Photographs) -> None:
    image = np.zeros((100, 100, 3), np.uint8)
    cup = photographs.objects["cup"][0]
    scene_module._paste(image, cup, np.array([(60, 60), (180, 60), (180, 160), (60, 160)], np.float32))
    assert image[60:, 60:].any()
    assert not image[:59].any()
    scene_module._paste(image, cup, np.array([(200, 0), (300, 0), (300, 90), (200, 90)], np.float32))
    assert not image[:59].any()


def test_without_scikit_image_the_command_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs_module.util, "find_spec", lambda name: None)
    with pytest.raises(RuntimeMissing, match=r'pip install "edge-app\[demo\]"'):
        load_photographs()


def test_a_picture_that_was_not_outlined_is_refused() -> None:
    view = {"picture": "cup.png", "size": [600, 400], "use": "both", "outline": [[0, 0], [9, 0], [9, 9]]}
    with pytest.raises(DeviceError, match="has 30 x 20 pixels, its outline was drawn for 600 x 400"):
        photographs_module._cut_out(np.zeros((20, 30, 3), np.uint8), view)


def test_a_picture_that_is_missing_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photographs_module, "picture_folder", lambda: tmp_path)
    with pytest.raises(DeviceError, match="reinstall it: pip install --force-reinstall scikit-image"):
        load_photographs()
