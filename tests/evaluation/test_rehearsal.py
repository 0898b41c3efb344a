from streams import material

from edge_app.evaluation.rehearsal import Rehearsal


def test_keeps_equal_parts_of_every_class_within_the_bound() -> None:
    rows = material(3, learnt=6, tested=0).rows
    memory = Rehearsal(7, seed=0)
    for label in range(3):
        memory.keep(range(6 * label, 6 * label + 6), rows)
        kept = memory.replay(rows, label)
        assert len(kept) == min(7, 6 * (label + 1))
        assert len(set(kept.tolist())) == len(kept)
    counts = [int((rows.labels[memory.replay(rows, 3)] == label).sum()) for label in range(3)]
    assert counts == [3, 2, 2]


def test_what_is_kept_was_kept_before_and_every_replay_has_its_order() -> None:
    rows = material(2, learnt=20, tested=0).rows
    memory = Rehearsal(10, seed=1)
    memory.keep(range(20), rows)
    before = set(memory.replay(rows, 0).tolist())
    memory.keep(range(20, 40), rows)
    after = memory.replay(rows, 1)
    assert {row for row in after.tolist() if row < 20} < before
    assert after.tolist() != memory.replay(rows, 2).tolist()
    assert sorted(after.tolist()) == sorted(memory.replay(rows, 2).tolist())


def test_more_classes_than_places() -> None:
    rows = material(4, learnt=2, tested=0).rows
    memory = Rehearsal(2, seed=0)
    memory.keep(range(8), rows)
    assert len(memory.replay(rows, 0)) == 2
