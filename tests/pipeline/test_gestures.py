"""The meaning of presses."""

from edge_app.config import ButtonsConfig
from edge_app.devices.ports import NS_PER_S, ButtonEdge
from edge_app.pipeline.commands import ForgetClass, Teach, Undo
from edge_app.pipeline.gestures import Gestures
from edge_app.pipeline.references import ClassReferences
from edge_app.storage.records import Action, ExampleChange
from support.pipeline_parts import frame

SHOWN = frame("red", 1)
OTHER = frame("blue", 1.05, 1)


def ns(seconds: float) -> int:
    return round(seconds * NS_PER_S)


def edge(name: str, time_s: float, pressed: bool = True) -> ButtonEdge:
    return ButtonEdge(name, pressed, ns(time_s))


def test_a_press_teaches_the_class_of_the_button_at_once() -> None:
    gestures = Gestures(ButtonsConfig(classes={"left": "mug"}), {"": ClassReferences()})
    assert gestures.edge(edge("left", 1), SHOWN) == [Teach("mug", SHOWN, ns(1), source="button left")]
    assert gestures.edge(edge("left", 1.1, False)) == []
    assert gestures.edge(edge("pen", 2), SHOWN) == [Teach("pen", SHOWN, ns(2), source="button pen")]
    assert gestures.due(ns(100)) == []


def test_undo_has_a_button_of_its_own() -> None:
    gestures = Gestures(ButtonsConfig(undo="back"), {"": ClassReferences()})
    assert gestures.edge(edge("back", 1)) == [Undo(source="button back")]
    assert gestures.edge(edge("undo", 2), SHOWN) == [Teach("undo", SHOWN, ns(2), source="button undo")]


def test_holding_forgets_the_class_once() -> None:
    gestures = Gestures(ButtonsConfig(classes={"left": "mug"}, hold_to_forget_s=3), {"": ClassReferences()})
    assert [type(command) for command in gestures.edge(edge("left", 1), SHOWN)] == [Teach]
    assert gestures.pending
    assert gestures.due(ns(3.9)) == []
    assert gestures.due(ns(4.0)) == [ForgetClass("mug", source="button left")]
    assert gestures.due(ns(9)) == gestures.edge(edge("left", 9, False)) == []
    assert not gestures.pending


def test_letting_go_in_time_forgets_nothing() -> None:
    gestures = Gestures(ButtonsConfig(hold_to_forget_s=3), {"": ClassReferences()})
    gestures.edge(edge("left", 1), SHOWN)
    assert gestures.edge(edge("left", 3.5, False)) == []
    assert gestures.due(ns(100)) == []


def test_a_hold_is_seen_even_if_its_end_is_read_late() -> None:
    gestures = Gestures(ButtonsConfig(hold_to_forget_s=3), {"": ClassReferences()})
    gestures.edge(edge("left", 1), SHOWN)
    assert gestures.edge(edge("left", 6, False)) == [ForgetClass("left", source="button left")]


def test_two_buttons_at_once_add_a_class_with_the_frame_of_the_first_press() -> None:
    gestures = Gestures(ButtonsConfig(chord_s=0.1, hold_to_forget_s=3), {"": ClassReferences()})
    assert gestures.edge(edge("left", 1), SHOWN) == []
    assert gestures.edge(edge("right", 1.05), OTHER) == [Teach(None, SHOWN, ns(1), source="buttons left and right")]
    assert gestures.due(ns(100)) == [], "neither of the two is taught, nor counts as held"


def test_with_chords_a_single_press_teaches_a_little_later_what_was_shown_at_it() -> None:
    gestures = Gestures(ButtonsConfig(chord_s=0.1), {"": ClassReferences()})
    assert gestures.edge(edge("left", 1), SHOWN) == []
    assert gestures.pending
    assert gestures.edge(edge("left", 1.05, False)) == []
    assert gestures.due(ns(1.09)) == []
    assert gestures.due(ns(1.1)) == [Teach("left", SHOWN, ns(1), source="button left")]
    assert gestures.due(ns(1.2)) == []


def test_two_presses_one_after_the_other_are_no_chord() -> None:
    gestures = Gestures(ButtonsConfig(chord_s=0.1), {"": ClassReferences()})
    gestures.edge(edge("left", 1), SHOWN)
    assert gestures.edge(edge("right", 1.2), OTHER) == [Teach("left", SHOWN, ns(1), source="button left")]
    assert gestures.rest() == [Teach("right", OTHER, ns(1.2), source="button right")]
    assert gestures.rest() == []


def test_a_button_follows_its_class_when_that_is_renamed() -> None:
    references = ClassReferences()
    gestures = Gestures(ButtonsConfig(classes={"left": "cup"}, hold_to_forget_s=3), {"": references})
    gestures.refer(("left", "cup", "undo"))
    references.follow(Action(1, 0, "rename", (ExampleChange(1, "cup", "mug"),)), undone=False)
    assert gestures.edge(edge("left", 1), SHOWN) == [Teach("mug", SHOWN, ns(1), source="button left")]
    assert gestures.due(ns(4)) == [ForgetClass("mug", source="button left")]
    assert gestures.edge(edge("cup", 5), SHOWN) == [Teach("mug", SHOWN, ns(5), source="button cup")]
