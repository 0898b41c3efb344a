"""check-config: what `run` would say of a file, without running."""

import tomllib
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.commands import check_config
from edge_app.config import Config, PlaceConfig, load_config
from edge_app.storage.kept_places import keep_places
from support.models import write_tiny

EXAMPLE = Path(__file__).resolve().parents[2] / "systemd" / "config.toml"


def test_the_shipped_example_is_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check-config", str(EXAMPLE)]) == 0
    assert capsys.readouterr().out == f"{EXAMPLE}: valid\n"


def test_shown_values_make_the_same_configuration(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[camera]\nuri = "sim:fps=3"\n[buttons]\nclasses = {a = "red pen"}\n', encoding="utf-8")
    assert cli.run(["check-config", "--show", str(path)]) == 0
    shown = capsys.readouterr().out
    assert tomllib.loads(shown).keys() == Config().to_table().keys()
    again = tmp_path / "again.toml"
    again.write_text(shown, encoding="utf-8")
    assert load_config(again, {}) == load_config(path, {})


def test_a_bad_value_is_told_and_gives_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text("[decision]\nvote = 0\n", encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == f"edge-app check-config: {path}: decision.vote = 0, expected a whole number from 1 to 100\n"


def check(folder: Path, mqtt: str, capsys: pytest.CaptureFixture[str]) -> str:
    path = folder / "c.toml"
    path.write_text(f"[mqtt]\n{mqtt}\n", encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 0
    return capsys.readouterr().err


def test_a_broker_that_the_service_may_not_reach_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = tmp_path / "edge-app.service"
    monkeypatch.setattr(check_config, "UNIT", unit)
    far = 'enabled = true\nhost = "192.168.1.10"'
    assert check(tmp_path, far, capsys) == "", "no service is installed here"
    unit.touch()
    assert "may only connect to this one: allow the broker's address by a drop-in" in check(tmp_path, far, capsys)
    for near in ("127.0.0.1", "::1", "localhost"):
        assert check(tmp_path, f'enabled = true\nhost = "{near}"', capsys) == ""
    assert check(tmp_path, 'host = "192.168.1.10"', capsys) == "", "it is not enabled"
    (tmp_path / "edge-app.service.d").mkdir()
    (tmp_path / "edge-app.service.d" / "memory.conf").write_text("[Service]\nMemoryMax=700M\n")
    assert "drop-in" in check(tmp_path, far, capsys)
    (tmp_path / "edge-app.service.d" / "mqtt.conf").write_text("[Service]\nIPAddressAllow=192.168.1.10\n")
    assert check(tmp_path, far, capsys) == ""


def test_a_password_in_the_clear_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = 'enabled = true\nuser = "u"\npassword_file = "/etc/edge-app/mqtt-password"\n'
    assert "the password crosses the network unencrypted" in check(tmp_path, secret + 'host = "broker"', capsys)
    assert check(tmp_path, secret + 'host = "broker"\ntls = true', capsys) == ""
    assert check(tmp_path, secret, capsys) == ""


def test_a_missing_library_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(check_config, "find_spec", lambda _: None)
    assert "paho-mqtt is not installed: pip install" in check(tmp_path, "enabled = true", capsys)
    assert check(tmp_path, "", capsys) == ""


RULES = """
[camera]
place = "hall"
[outputs]
uri = "sim:door"
[[rules]]
name = "let the cat in"
label = "cat"
output = "door"
pulse_ms = 500
[[rules]]
name = "elsewhere"
place = "garden"
webhook = "hub"
enabled = false
[[webhooks]]
name = "hub"
url = "http://hub.example/"
token_file = "/etc/edge-app/token"
"""


def test_each_rule_is_told_in_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit = tmp_path / "edge-app.service"
    monkeypatch.setattr(check_config, "UNIT", unit)
    path = tmp_path / "c.toml"
    path.write_text(RULES, encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[1:] == [
        'let the cat in: When "cat" comes into view: switch "door" on for 500 ms; at most 60 times an hour.',
        'elsewhere: When any class or something unknown comes into view in "garden": call the webhook "hub"; '
        "at most 60 times an hour. (It is switched off.)",
    ]
    assert said.err.splitlines() == [
        "warning: rule 'elsewhere' is for the place 'garden', and camera.place = 'hall': it never fires here",
        "warning: webhook 'hub' sends a token unencrypted: use an https address",
    ]
    unit.touch()
    assert cli.run(["check-config", str(path)]) == 0
    assert "webhook 'hub' is on another machine, and the installed service may only" in capsys.readouterr().err


def test_places_that_were_set_on_the_page_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'[state]\nfolder = "{tmp_path}"\n', encoding="utf-8")
    config = load_config(path, {})
    keep_places(config, config.with_places((PlaceConfig(name="gate", group="doors"),)))
    assert cli.run(["check-config", str(path)]) == 0
    said = capsys.readouterr()
    assert said.out == f"{path}: valid\n"
    assert "note: other places were set on the page or over the API" in said.err
    assert "note: gate: the whole picture of the camera 'camera', with what the group 'doors' learns." in said.err

    (tmp_path / "places.json").write_text("{}", encoding="ascii")
    assert cli.run(["check-config", str(path)]) == 0
    assert capsys.readouterr().err.startswith(f"warning: {tmp_path}/places.json is ignored: configured is missing")


def test_warnings_are_about_the_places_in_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text(
        f'''
        state.folder = "{tmp_path}"
        cameras = [{{ name = "yard", uri = "sim:" }}]
        places = [{{ name = "door", camera = "yard" }}]
        rules = [{{ name = "r", place = "gate", webhook = "hub", label = "cat" }}]
        webhooks = [{{ name = "hub", url = "http://127.0.0.1/" }}]
        ''',
        encoding="utf-8",
    )
    assert cli.run(["check-config", str(path)]) == 0
    assert "rule 'r' is for the place 'gate', and the places are door" in capsys.readouterr().err
    config = load_config(path, {})
    keep_places(config, config.with_places((PlaceConfig(name="gate"),)))
    assert cli.run(["check-config", str(path)]) == 0
    warnings = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning")]
    assert warnings == ["warning: no place refers to the camera 'yard': it is not opened"]


def test_a_camera_that_does_not_suit_the_model_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, model = tmp_path / "c.toml", write_tiny(tmp_path / "models", colour="red-blue")
    text = f'encoder.model = "{model}"\nstate.folder = "{tmp_path}/state"\ncamera.uri = "{{}}"\n'

    def warned(uri: str) -> str:
        path.write_text(text.format(uri), encoding="utf-8")
        assert cli.run(["check-config", str(path)]) == 0
        return capsys.readouterr().err

    assert warned("events:sim") == ""
    assert warned("v4l2:/dev/video0") == (
        "warning: camera 'camera': it shows pictures, and the model takes events drawn in red-blue: write events: "
        "before its URI\n"
    )
    assert "it draws events in grey, and the model takes them in red-blue" in warned("events:a.raw?colours=grey")
    model.unlink()
    assert warned("v4l2:/dev/video0") == "", "the model may be on another machine"


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        ("gpio:pinctrl-rp1?left=17,right=27,debounce=10ms", "left, right"),
        ("keyboard:1=left,u=undo", "left, undo"),
        ("sim:left,right@2+5.5", "left, right"),
    ],
)
def test_a_button_that_is_not_there_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], uri: str, names: str
) -> None:
    path = tmp_path / "c.toml"
    text = '[buttons]\nuri = "{}"\nclasses = {{ left = "mug", lefft = "pen" }}\nplaces = {{ up = "camera" }}\n'
    path.write_text(text.format(uri), encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"warning: buttons.classes: 'lefft' is none of the buttons in buttons.uri: {names}",
        f"warning: buttons.places: 'up' is none of the buttons in buttons.uri: {names}",
    ]
    path.write_text(text.format("sim:"), encoding="utf-8")
    assert cli.run(["check-config", str(path)]) == 0
    assert capsys.readouterr().err == "", "without buttons the names are nobody's"


def test_without_a_folder_in_the_file_it_is_the_service_s(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("EDGE_APP_STATE", raising=False)
    monkeypatch.setattr(check_config, "SERVICE_STATE", tmp_path)
    (tmp_path / "places.json").write_text("{}", encoding="ascii")
    path = tmp_path / "c.toml"
    path.touch()
    assert cli.run(["check-config", str(path)]) == 0
    assert "places.json is ignored" in capsys.readouterr().err


def test_a_camera_that_no_place_refers_to_is_warned_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.toml"
    path.write_text('[[cameras]]\nname = "back"\nuri = "sim:"\n[[places]]\nname = "yard"\n')
    assert cli.run(["check-config", str(path)]) == 0
    assert "warning: no place refers to the camera 'back': it is not opened" in capsys.readouterr().err
