"""teach and classify on real photographs with the real encoder."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from edge_app import cli
from edge_app.datasets.pictures import decode_image
from edge_app.encoder.model import load_manifest
from edge_app.learner.pictures import PictureEncoder
from edge_app.storage.folder import FolderLock, database_path
from edge_app.storage.store import Store


def _teach(state: Path, label: str, files: list[Path], *options: str) -> int:
    return cli.run(["teach", "--state", str(state), *options, label, *map(str, files)])


def test_taught_things_are_told_apart(
    taught: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(path) for paths in photos.values() for path in paths[3:]]
    assert cli.run(["classify", "--state", str(taught), "--json", *files]) == 0
    said = json.loads(capsys.readouterr().out)
    for decision in said["decisions"]:
        assert Path(decision["file"]).name.startswith(decision["label"])
        assert set(decision["spikes"]) == {"cat", "coffee", "astronaut"}
        assert decision["spikes"][decision["label"]] == max(decision["spikes"].values())
    assert len(said["decisions"]) == len(files)
    assert said["failed"] == []


def test_what_was_learnt_is_printed(
    photos: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _teach(tmp_path / "state", "cat", photos["cat"][:2]) == 0
    first, second, total = capsys.readouterr().out.splitlines()
    assert first == f"example 1: {photos['cat'][0]} is cat (before: unknown)"
    assert second.startswith("example 2: ")
    assert total == "cat: 2 examples now, 1 class in all"
    assert _teach(tmp_path / "state", "cup", photos["coffee"][:1], "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert said["taught"][0]["example"] == 3
    assert said["classes"] == {"cat": 2, "cup": 1}


def test_a_warning_is_printed_beside_the_example(
    photos: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dark = tmp_path / "dark.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(dark)
    assert _teach(tmp_path / "state", "cat", [photos["cat"][0], photos["cat"][0], dark]) == 0
    first, again, black, _ = capsys.readouterr().out.splitlines()
    assert first.endswith("(before: unknown)")
    assert again.endswith("; the same picture as example 1: turn it, or show it from another side")
    assert black.endswith("; nearly black: is the lens covered, or the light off?")
    assert _teach(tmp_path / "state", "cat", [dark], "--json") == 0
    assert json.loads(capsys.readouterr().out)["taught"][0]["advice"] == [
        "nearly black: is the lens covered, or the light off?"
    ]


def test_the_table_names_file_decision_margin_and_columns(
    taught: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["classify", "--state", str(taught), str(photos["cat"][4])]) == 0
    head, row = capsys.readouterr().out.splitlines()
    assert head.split() == ["file", "decision", "sure", "margin", "spikes", "per", "column"]
    assert row.split()[:2] == [str(photos["cat"][4]), "cat"]
    assert all(name in row for name in photos)


def test_a_picture_that_resembles_nothing_may_be_unknown_and_says_so(
    photos: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    state = tmp_path / "state"
    assert _teach(state, "cat", photos["cat"][:1]) == 0
    assert cli.run(["undo", "--state", str(state)]) == 0
    capsys.readouterr()
    assert cli.run(["classify", "--state", str(state), str(photos["cat"][0])]) == 0
    assert "unknown" in capsys.readouterr().out


def test_a_corrupt_file_is_named_and_the_others_are_done(
    photos: dict[str, list[Path]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(photos["cat"][0].read_bytes()[:3000])
    state = tmp_path / "state"
    files = [photos["cat"][0], bad, tmp_path / "missing.jpg", tmp_path, photos["cat"][1]]
    assert _teach(state, "cat", files) == 2
    captured = capsys.readouterr()
    assert "cat: 2 examples now" in captured.out
    for path in files[1:4]:
        assert f"edge-app teach: {path}" in captured.err
    assert cli.run(["classify", "--state", str(state), *map(str, files)]) == 2
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 3
    for path in files[1:4]:
        assert f"edge-app classify: {path}" in captured.err


def test_the_thumbnail_is_what_the_encoder_saw(taught: Path, photos: dict[str, list[Path]]) -> None:
    from edge_app.encoder.model import load_manifest
    from edge_app.learner.pictures import PictureEncoder

    with Store.reader(database_path(taught)) as store, PictureEncoder(load_manifest()) as encoder:
        picture = store.thumbnail(1)
        assert picture is not None
        assert decode_image(picture).shape == (224, 224, 3)
        again = encoder.encode_thumbnail(picture).astype(float)
        stored = np.frombuffer(store.embedding(1), np.uint8).astype(float)
        assert encoder.read(photos["cat"][0]).embedding.tobytes() == store.embedding(1)
    cosine = again @ stored / np.linalg.norm(again) / np.linalg.norm(stored)
    assert cosine > 0.97


def test_classifying_needs_a_state_and_does_not_make_one(
    tmp_path: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["classify", "--state", str(tmp_path / "none"), str(photos["cat"][0])]) == 2
    assert "teach something first" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()


def test_a_busy_state_can_be_asked_but_not_taught(
    taught: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    lock = FolderLock(taught)
    assert _teach(taught, "cat", photos["cat"][:1]) == 6
    assert "in use by process" in capsys.readouterr().err
    assert cli.run(["classify", "--state", str(taught), str(photos["cat"][3])]) == 0
    lock.release()


def test_a_bad_class_name_is_refused_before_anything_is_made(
    tmp_path: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert _teach(tmp_path / "state", " cat", photos["cat"][:1]) == 2
    assert "white space" in capsys.readouterr().err
    assert not (tmp_path / "state").exists()


def test_the_state_folder_can_come_from_the_environment(
    taught: Path, photos: dict[str, list[Path]], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EDGE_APP_STATE", str(taught))
    assert cli.run(["classify", str(photos["cat"][3])]) == 0
    assert "cat" in capsys.readouterr().out


def test_a_picture_that_no_decoder_knows_stops_nothing(
    photos: dict[str, list[Path]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """A DDS texture with an unknown pixel format makes Pillow raise NotImplementedError."""
    texture = tmp_path / "texture.jpg"
    texture.write_bytes(b"DDS " + (124).to_bytes(4, "little") + bytes(140))
    state, (one, two) = tmp_path / "state", photos["cat"][:2]
    assert _teach(state, "cat", [one, texture, two]) == 2
    captured = capfd.readouterr()
    assert "2 examples now" in captured.out
    assert "texture.jpg is a DDS texture, expected a picture" in captured.err
    assert "Traceback" not in captured.err
    assert cli.run(["classify", "--state", str(state), "--json", str(one), str(texture)]) == 2
    said = json.loads(capfd.readouterr().out)
    assert [decision["label"] for decision in said["decisions"]] == ["cat"]
    assert [failed["file"] for failed in said["failed"]] == [str(texture)]


def test_a_drawing_on_a_transparent_ground_is_that_on_white(tmp_path: Path) -> None:
    state = tmp_path / "state"
    for label in ("X", "O"):
        drawing = Image.new("RGBA", (256, 256), (0, 0, 0, 0))
        pen = ImageDraw.Draw(drawing)
        if label == "X":
            pen.line((30, 30, 226, 226), (0, 0, 0, 255), 40)
            pen.line((226, 30, 30, 226), (0, 0, 0, 255), 40)
        else:
            pen.ellipse((30, 30, 226, 226), outline=(0, 0, 0, 255), width=40)
        drawing.save(tmp_path / f"{label}.png")
        white = Image.new("RGBA", drawing.size, "white")
        white.alpha_composite(drawing)
        white.convert("RGB").save(tmp_path / f"{label}-white.png")
        assert _teach(state, label, [tmp_path / f"{label}-white.png"]) == 0
    with Store.reader(database_path(state)) as store:
        stored = {example.label: store.embedding(example.id) for example in store.examples()}
    with PictureEncoder(load_manifest()) as encoder:
        for label, embedding in stored.items():
            assert encoder.read(tmp_path / f"{label}.png").embedding.tobytes() == embedding
