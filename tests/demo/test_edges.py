"""The scene as an event camera sees it."""

import numpy as np
import pytest

from edge_app.demo.edges import WINDOW_NS, EventScene
from edge_app.devices.ports import NS_PER_S
from edge_app.events.differences import FrameDifferences
from edge_app.events.drawing import draw
from edge_app.simulation.shapes import ShapesScene, StillScene


@pytest.mark.parametrize(("colours", "nothing"), [("grey", 128), ("red-blue", 0)])
def test_a_view_shows_the_events_of_the_time_after_it(colours: str, nothing: int) -> None:
    scene, differences = ShapesScene(size=(64, 48)), FrameDifferences()
    differences.events(scene.image(NS_PER_S))
    expected = draw(differences.events(scene.image(NS_PER_S + WINDOW_NS)), colours)
    found = EventScene(scene, colours).image(NS_PER_S)
    assert np.array_equal(found, expected)
    assert (found != nothing).any()


def test_a_scene_that_stands_still_is_grey() -> None:
    assert (EventScene(StillScene(size=(64, 48)), "grey").image(0) == 128).all()
