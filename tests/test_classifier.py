"""Teaching and classifying from a program of one's own."""

from pathlib import Path

import numpy as np
import pytest

from edge_app import Classifier, InputError, StateBusy, UnknownLabel
from edge_app.datasets.pictures import decode_image
from support.pictures import picture


def shown(label: str, number: int) -> bytes:
    return picture(label, number, side=64)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    folder = tmp_path / "state"
    with Classifier(folder) as classifier:
        for label in ("red", "green"):
            classifier.teach(label, *(shown(label, number) for number in range(3)))
    return folder


def test_pictures_of_all_kinds_are_the_same_picture(state: Path, tmp_path: Path) -> None:
    path = tmp_path / "red.png"
    path.write_bytes(shown("red", 7))
    with Classifier(state) as classifier:
        answers = [classifier.classify(one) for one in (path, str(path), shown("red", 7), decode_image(path))]
    assert [found.label for found in answers] == ["red"] * 4
    assert len({(found.confidence, found.nearest, found.novelty) for found in answers}) == 1
    assert answers[0].decision.labels == ("red", "green")


def test_what_is_taught_is_told_with_the_decision_before(tmp_path: Path) -> None:
    with Classifier(tmp_path / "state") as classifier:
        events = classifier.teach("red", shown("red", 0), shown("red", 1), source="mine")
        assert [(event.example, event.label, event.before, event.source) for event in events] == [
            (1, "red", None, "mine"),
            (2, "red", "red", "mine"),
        ]
        assert 0 < events[1].confidence <= 1
        assert classifier.classes() == {"red": 2}


def test_one_picture_that_cannot_be_read_teaches_none(state: Path, tmp_path: Path) -> None:
    with Classifier(state) as classifier:
        with pytest.raises(InputError, match="gone"):
            classifier.teach("red", shown("red", 9), tmp_path / "gone.png")
        with pytest.raises(InputError, match="nothing was shown"):
            classifier.teach("red")
        with pytest.raises(InputError, match=r"picture is float64 \(3, 4\)"):
            classifier.classify(np.zeros((3, 4)))  # type: ignore[arg-type]
        with pytest.raises(InputError, match="picture is int, expected a path"):
            classifier.classify(7)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="is a folder"):
            classifier.classify(tmp_path)
        assert classifier.classes() == {"red": 3, "green": 3}


def test_a_picture_that_is_worth_a_warning_has_it_and_its_like(state: Path) -> None:
    with Classifier(state) as classifier:
        (first,) = classifier.teach("red", shown("red", 50))
        assert "same" not in [one.kind for one in first.advice]
        (again,) = classifier.teach("red", shown("red", 50))
        assert [(one.kind, one.example) for one in again.advice if one.kind == "same"] == [("same", first.example)]
        assert [one.example for one in classifier.most_similar(shown("red", 50), 2)] == [again.example, first.example]
        assert classifier.most_similar(shown("green", 1))[0] == (5, "green", pytest.approx(1))
        (dark,) = classifier.teach("red", np.zeros((64, 64, 3), np.uint8))
        assert [one.kind for one in dark.advice] == ["dark"]
        assert all(event.advice == () for event in classifier.teach("red", shown("red", 50), shown("red", 50)))


def test_corrections_are_as_if_it_had_been_taught_that_way(state: Path) -> None:
    with Classifier(state) as classifier:
        classifier.rename("red", "ruby")
        assert classifier.classify(shown("red", 7)).label == "ruby"
        classifier.merge("green", "ruby")
        assert classifier.classes() == {"ruby": 6}
        classifier.undo()
        classifier.relabel([1], "green")
        assert classifier.classes() == {"green": 4, "ruby": 2}
        classifier.forget("ruby")
        assert [example.label for example in classifier.examples()] == ["green"] * 4
        with pytest.raises(UnknownLabel):
            classifier.forget("ruby")


def test_one_process_writes_and_others_may_read(state: Path) -> None:
    with Classifier(state):
        with pytest.raises(StateBusy):
            Classifier(state)
        with Classifier(state, read_only=True) as reader:
            assert reader.classify(shown("green", 8)).label == "green"
            with pytest.raises(OSError, match="read"):
                reader.teach("red", shown("red", 9))
    with pytest.raises(InputError, match="no state in"):
        Classifier(state / "none", read_only=True)


def test_once_closed_it_says_so(state: Path) -> None:
    classifier = Classifier(state)
    classifier.close()
    classifier.close()
    for use in (classifier.classes, classifier.undo, lambda: classifier.classify(shown("red", 1))):
        with pytest.raises(InputError, match="the classifier is closed"):
            use()
    with pytest.raises(InputError, match="strictness"):
        Classifier(state, strictness=2)
