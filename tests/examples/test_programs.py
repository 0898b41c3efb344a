"""The programs in examples/ as processes of their own: they do what they say, and end."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import cv2
import pytest

from edge_app import Classifier
from edge_app.simulation.shapes import ShapesScene
from support.example_programs import FOLDER
from support.pictures import fill, picture

REPOSITORY = FOLDER.parent
TIMEOUT_S = 120
CAMERA = "sim:scene=shapes,size=160x120"


def command(name: str, *arguments: object) -> list[str]:
    return [sys.executable, str(FOLDER / f"{name}.py"), *map(str, arguments)]


def run(name: str, *arguments: object) -> list[str]:
    """Run an example to its end; return the lines that it printed."""
    environ = os.environ | {"PYTHONPATH": str(REPOSITORY)}
    done = subprocess.run(
        command(name, *arguments), capture_output=True, text=True, timeout=TIMEOUT_S, env=environ, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """A state that was taught red and green."""
    folder = tmp_path / "state"
    with Classifier(folder) as classifier:
        for label in ("red", "green"):
            classifier.teach(label, *(picture(label, number, side=64) for number in range(8)))
    return folder


def test_a_folder_is_sorted_by_what_its_pictures_show(state: Path, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    for label in ("red", "green"):
        (photos / f"{label}.png").write_bytes(picture(label, 50, side=64))
    (photos / "notes.txt").write_text("mine")
    lines = [line.split() for line in run("classify_folder", state, photos)]
    assert [(line[0], line[-1]) for line in lines if line[0] != "-"] == [("green", "green.png"), ("red", "red.png")]
    assert sum("notes.txt" in " ".join(line) for line in lines) == 1


def test_a_command_is_run_when_its_class_comes_into_view(state: Path, tmp_path: Path) -> None:
    shown, log = tmp_path / "shown", tmp_path / "log"
    shown.mkdir()
    for number in range(30):
        label = "red" if number // 6 % 2 else "green"
        (shown / f"{number:02}.png").write_bytes(picture(label, 100 + number, side=64))
    write = f"open({str(log)!r}, 'a').write('seen ')"
    run("act_on_events", state, f"dir:{shown}?fps=10", "red", sys.executable, "-c", write)
    assert log.read_text() == "seen seen "


def test_a_function_is_the_camera(tmp_path: Path) -> None:
    video, scene = tmp_path / "shapes.avi", ShapesScene(size=(160, 120))
    writer = cv2.VideoWriter(str(video), cv2.VideoWriter_fourcc(*"MJPG"), 20, (160, 120))
    for number in range(40):
        writer.write(scene.image(number * 50_000_000)[:, :, ::-1].copy())
    writer.release()
    lines = run("own_camera", tmp_path / "state", video, "disc")
    assert lines[0] == "taught: disc"
    assert any(line.endswith(": disc") for line in lines[1:])
    with Classifier(tmp_path / "state", read_only=True) as classifier:
        assert classifier.classes() == {"disc": 1}


def test_lines_of_text_are_the_buttons(tmp_path: Path) -> None:
    program = subprocess.Popen(
        # a shell's background jobs ignore Ctrl-C, and so do their children: the watchdog would end the program instead
        ["env", "--default-signal=INT", *command("own_buttons", tmp_path / "state", CAMERA, "mug", "key")],
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert program.stdin is not None
    assert program.stdout is not None
    watchdog = threading.Timer(TIMEOUT_S, program.kill)
    watchdog.start()
    try:
        assert program.stdout.readline() == "ready\n"
        said = "not carried out: the press came before the first frame"
        while said.startswith("not carried out: the press came before"):
            program.stdin.write("mug\n")
            program.stdin.flush()
            said = program.stdout.readline()
        assert said == "example 1 is mug\n"
        program.stdin.write("key\nundo\n")
        program.stdin.flush()
        assert [program.stdout.readline() for _ in range(2)] == ["example 2 is key\n", "undone: key\n"]
        program.send_signal(signal.SIGINT)
        assert program.wait(TIMEOUT_S) == -signal.SIGINT
    finally:
        watchdog.cancel()
        program.kill()
        program.communicate()
    with Classifier(tmp_path / "state", read_only=True) as classifier:
        assert classifier.classes() == {"mug": 1}


def test_the_data_set_of_the_tests_is_taught_in_ten_lines(tmp_path: Path) -> None:
    """The program of docs/python.md, as it stands there."""
    text = (REPOSITORY / "docs" / "python.md").read_text(encoding="utf-8")
    program = text.split("```python\n")[1].split("```")[0]
    assert len(program.strip().splitlines()) <= 10
    fill(tmp_path / "photos", ["red", "green"], count=3)
    (tmp_path / "what.png").write_bytes(picture("green", 9))
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0].startswith("green ")
    assert done.stdout.splitlines()[1] == "{'red': 3}"
