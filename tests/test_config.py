"""The configuration: checked by name, immutable, and every key documented in the example."""

import re
import unicodedata
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
import tomli_w

from edge_app.config import (
    Config,
    ConsolidationConfig,
    DecisionConfig,
    PlaceInUse,
    StateConfig,
    load_config,
    portable,
    reference,
)
from edge_app.config.loading import defaults_of, lists, sections
from edge_app.config.places import MOST_PLACES
from edge_app.errors import InputError


def load(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Config:
    path = tmp_path / "config.toml"
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ or {})


def test_without_a_file_everything_has_a_default() -> None:
    assert load_config(None, {}) == Config()


def test_values_are_taken_and_checked(tmp_path: Path) -> None:
    config = load(
        tmp_path,
        """
        [camera]
        uri = "dir:/srv/pictures?fps=5"
        region = [0.25, 0, 0.5, 1]
        rotation = 90
        [buttons]
        uri = "sim:left,right"
        classes = {left = "mug", right = "red pen"}
        [decision]
        max_fps = 7
        vote = 5
        """,
    )
    assert config.camera.uri == "dir:/srv/pictures?fps=5"
    assert config.camera.region == (0.25, 0.0, 0.5, 1.0)
    assert config.camera.recording
    assert config.buttons.classes == {"left": "mug", "right": "red pen"}
    assert (config.decision.max_fps, config.decision.vote) == (7.0, 5)
    with pytest.raises(FrozenInstanceError):
        config.camera.rotation = 0  # type: ignore[misc]
    with pytest.raises(TypeError):
        config.buttons.classes["left"] = "cat"  # type: ignore[index]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[camra]", r"config\.toml: unknown section \[camra\]: did you mean 'camera'\? known: camera, "),
        ("[zzz]", r"unknown section \[zzz\]; known: camera, "),
        ("[decision]\nmaxfps = 3", r"unknown key decision\.maxfps: did you mean 'max_fps'\? known: max_fps, vote"),
        ("camera = 3", r"camera = 3, expected a section \[camera\]"),
        ('[camera]\nuri = "webcam"', r"camera\.uri = 'webcam', expected a URI that begins with one of sim:"),
        ('[camera]\nuri = "telepathy:"', r"camera\.uri = 'telepathy:', expected a URI that begins with one of sim:"),
        ('[lights]\nuri = "lamp:"', r"lights\.uri = 'lamp:', expected a URI that begins with one of sim:"),
        ("[camera]\nuri = 3", r"camera\.uri = 3, expected a URI"),
        ("[camera]\nregion = [0, 0, 1]", r"camera\.region = \[0, 0, 1\], expected four fractions"),
        ("[camera]\nregion = [0.5, 0, 0.6, 1]", r"camera\.region = .*x \+ width <= 1"),
        ("[camera]\nregion = [0, 0, nan, 1]", r"camera\.region"),
        ("[camera]\nregion = [true, 0, 1, 1]", r"camera\.region"),
        (
            "[idle]\nwatch_fps = 0.5",
            r"idle\.watch_fps = 0\.5, expected a number from 1 to 1000 fps, or 0 \(every frame\)",
        ),
        ("[camera]\nrotation = 45", r"camera\.rotation = 45, expected one of 0, 90, 180, 270"),
        ("[camera]\nrotation = false", r"camera\.rotation = False, expected one of"),
        ("[camera]\nmirror = 1", r"camera\.mirror = 1, expected true or false"),
        ("[camera]\nstall_after_s = 0", r"camera\.stall_after_s = 0, expected a number from 0\.1 to 600 s$"),
        ("[camera]\nstuck_after_s = nan", r"camera\.stuck_after_s = nan, expected .* or 0 \(never\)"),
        ("[camera]\ngive_up_after_s = true", r"camera\.give_up_after_s = True, expected a number"),
        ('[buttons]\nclasses = {a = " x"}', r"buttons\.classes = .*white space"),
        ("[buttons]\nclasses = {a = 3}", r"buttons\.classes = .*expected text"),
        ("[buttons]\nclasses = 3", r"buttons\.classes = 3, expected a table"),
        ("[encoder]\nthreads = 1.5", r"encoder\.threads = 1\.5, expected a whole number from 1 to 64 cores"),
        ('[state]\nfolder = "here"', r"state\.folder = 'here', expected an absolute path"),
        ('[state]\nwhen_full = "panic"', r"state\.when_full = 'panic', expected one of 'refuse', 'replace-oldest'"),
        ('[log]\nlevel = "loud"', r"log\.level = 'loud', expected one of 'debug'"),
        (
            "[temperature]\nslow_at_c = 60\nresume_at_c = 60",
            r"temperature\.resume_at_c = 60, expected less than slow_at_c = 60",
        ),
        ('[mqtt]\nhost = "mqtt://x"', r"mqtt\.host = 'mqtt://x', expected a host name or an address"),
        ('[mqtt]\nbase = "home/+"', r"mqtt\.base = 'home/\+', expected the first levels of a topic"),
        ('[mqtt]\nbase = "home/"', r"mqtt\.base = 'home/', expected"),
        ('[mqtt]\ndevice = "back door"', r"mqtt\.device = 'back door', expected at most 64 letters"),
        ('[mqtt]\ncommands = "all"', r"mqtt\.commands = 'all', expected one of 'none', 'teach', 'administer'"),
        ('[mqtt]\npassword_file = "/x"', r"mqtt\.password_file is set and user is not: set both, or neither"),
        ('[mqtt]\nca_file = "/x"', r"mqtt\.ca_file is set and tls is not"),
        ('[mqtt]\ntls = true\nkey_file = "/x"', r"mqtt\.key_file is set and certificate_file is not"),
        ('[mqtt]\noffers = "signed"', r'mqtt\.offers = "signed" is set and offers_key_file is not'),
        ('[web]\nhost = "localhost"', r"web\.host = 'localhost', expected an IP address of this machine"),
        ("[web]\nport = 70000", r"web\.port = 70000, expected a whole number from 0 to 65535"),
        ('[web]\nnames = "x"', r"web\.names = 'x', expected a list of texts"),
        ('[web]\nproxies = ["10.0.0.0/33"]', r"web\.proxies = .*expected a list of IP addresses or networks"),
        ('[web]\nloopback_role = "root"', r"web\.loopback_role = 'root', expected one of 'none', 'view'"),
        ('[web]\ncertificate = "/x"', r"web\.key is missing: TLS needs"),
        ('[web]\nkey = "/x"', r"web\.certificate is missing: TLS needs"),
        ('[web]\nenabled = true\nhost = "0.0.0.0"', r"web\.host = '0\.0\.0\.0' lets other machines in"),
        ("rules = 3", r"rules = 3, expected sections \[\[rules\]\]"),
        ("[[rules]]", r"rule number 1 has no name: expected name = "),
        ('[[rules]]\nname = "door"\ncolour = 3', r"unknown key rule 'door': colour; known: name, label"),
        ('[[rules]]\nname = "door"\nconfidence = 2', r"rule 'door': confidence = 2, expected a number from 0 to 1"),
        ('[[rules]]\nname = "door"\nhours = "22-6"', r"rule 'door': hours = '22-6', expected a span such as "),
        ('[[rules]]\nname = "door"\nhours = "22:00-22:00"', r"rule 'door': hours = .* expected an end other than"),
        ('[[rules]]\nname = "door"\nweekdays = ["monday"]', r"rule 'door': weekdays = .* expected a list of days"),
        ('[[rules]]\nname = "door"\nlabel = " x"', r"rule 'door': label = ' x', expected the name of a class"),
        (
            '[[rules]]\nname = "door"',
            r"rule 'door': output and webhook, file, topic are missing: the rule does nothing",
        ),
        ('[[rules]]\nname = "a"\nwhen = "held"', r"rule 'a': for_s = 0\.0, expected above 0 with when = .held."),
        ('[[rules]]\nname = "a"\nfor_s = 2', r"rule 'a': for_s = 2\.0, expected 0 with when = .entered."),
        ('[[rules]]\nname = "a"\nwhen = "absent"\nfor_s = 2', r"rule 'a': label = '\*', expected a class or"),
        ('[[rules]]\nname = "a"\nlabel = "unknown"\nconfidence = 1', r"rule 'a': confidence = 1\.0, expected 0 with"),
        ('[[rules]]\nname = "a"\noutput = "x"', r"rule 'a': output = 'x', expected one of .*uri: there are none"),
        (
            '[outputs]\nuri = "sim:x"\n[[rules]]\nname = "a"\noutput = "x"\nwhen = "left"',
            r"rule 'a': pulse_ms = 0, expected above 0 with when = .left.",
        ),
        (
            '[outputs]\nuri = "sim:x"\n[[rules]]\nname = "a"\noutput = "x"\npulse_ms = 50',
            r"rule 'a': pulse_ms = 50, expected 100 or more: an output stays on for outputs\.min_on_s = 0\.1",
        ),
        ('[[rules]]\nname = "a"\nwebhook = "x"', r"rule 'a': webhook = 'x', expected one of the names of \[\[webhooks"),
        ('[[rules]]\nname = "a"\ntopic = "x"', r"rule 'a': topic = 'x' needs a broker: set enabled"),
        (
            '[mqtt]\nenabled = true\n[[rules]]\nname = "a"\ntopic = "edge-app/x/command/undo"',
            r"rule 'a': topic = .* expected one outside of edge-app/",
        ),
        ('[[rules]]\nname = "a"\nfile = "/f"\n' * 2, r"rule 'a' is there 2 times: give each another name"),
        ('[outputs]\nuri = "sim:x"\non_at_stop = ["y"]', r"outputs\.on_at_stop = 'y', expected one of .*uri: x"),
        (
            '[lights]\nuri = "gpio:c?cup=5"\n[outputs]\nuri = "gpio:c?door=5"',
            r"outputs\.uri: door = 5 of c is used by lights \(cup\): use another line",
        ),
        (
            '[buttons]\nuri = "gpio:c?cup=5"\n[outputs]\nuri = "gpio:c?door=5"',
            r"outputs\.uri: door = 5 of c is used by buttons \(cup\): use another line",
        ),
        ('[[webhooks]]\nname = "a"', r"webhook 'a': url, url_file: expected exactly one of them"),
        ('[[webhooks]]\nname = "a"\nurl = "ftp://x/"', r"webhook 'a': url = 'ftp://x/', expected an address such as"),
        ('[[webhooks]]\nname = "a"\nurl = "http://x:99999/"', r"webhook 'a': url = .* \(Port out of range"),
        (
            '[[webhooks]]\nname = "a"\nurl = "https://x/?token=s3cret"',
            r"webhook 'a': url = 'https://x/\?token=\*\*\*', .*write the address into a file",
        ),
        (
            '[[webhooks]]\nname = "a"\nurl = "https://x/"\nheaders = {Host = "y"}',
            r"webhook 'a': headers = .* expected a table .* \(Host: set by the device\)",
        ),
        (
            '[[webhooks]]\nname = "a"\nurl = "https://x/"\ntext = "$colour"',
            r"webhook 'a': text = '\$colour', expected .* \(\$colour is unknown\)",
        ),
        (
            '[[webhooks]]\nname = "a"\nurl = "https://x/"\nformat = "text"\npicture = true',
            r"webhook 'a': picture = True, expected False with format = .text.",
        ),
        ("[camera", r"config\.toml: is not valid TOML"),
    ],
)
def test_what_is_wrong_is_refused_by_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere\.toml: cannot be read: No such file"):
        load_config(tmp_path / "nowhere.toml", {})
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.toml: is not valid TOML"):
        load_config(tmp_path / "binary.toml", {})


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"], ids=["LF", "CR LF"])
def test_a_file_is_read_as_editors_on_any_system_save_it(tmp_path: Path, mark: bytes, newline: str) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes(mark + newline.join(("[camera]", "rotation = 90", "")).encode())
    assert load_config(path, {}).camera.rotation == 90


def test_another_encoding_is_named(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_bytes("[camera]\n".encode("utf-16"))
    with pytest.raises(InputError, match=r"config\.toml: is not valid TOML: it is encoded as UTF-16: save it as UTF-8"):
        load_config(path, {})


def test_state_folder_comes_from_the_file_then_systemd_then_the_environment(tmp_path: Path) -> None:
    environ = {"STATE_DIRECTORY": "/var/lib/edge-app:/other", "EDGE_APP_STATE": "/srv/things"}
    assert load(tmp_path, '[state]\nfolder = "/mine"', environ).state.folder == "/mine"
    assert load(tmp_path, "", environ).state.folder == "/var/lib/edge-app"
    assert load(tmp_path, "", {"EDGE_APP_STATE": "/srv/things"}).state.folder == "/srv/things"


def test_the_command_line_overrides_and_is_checked_too() -> None:
    config = Config().overridden(camera="sim:fps=5", buttons="sim:a,b", state=Path("/srv/x"))
    assert (config.camera.uri, config.buttons.uri, config.state.folder) == ("sim:fps=5", "sim:a,b", "/srv/x")
    assert Config().overridden() == Config()
    with pytest.raises(InputError, match=r"--camera = 'telepathy:', expected a URI"):
        Config().overridden(camera="telepathy:")


DOOR = """
[outputs]
uri = "sim:door"
[[rules]]
name = "door"
label = "cat"
output = "door"
pulse_ms = 500
webhook = "hub"
hours = "22:00-06:30"
[[webhooks]]
name = "hub"
url = "https://hub.example/cat"
"""


def test_rules_are_read_in_order_and_survive_a_backup(tmp_path: Path) -> None:
    config = load(tmp_path, DOOR + '[[rules]]\nname = "log"\nfile = "/srv/log"\n')
    assert [rule.name for rule in config.rules] == ["door", "log"]
    assert config.rules[0].span == (22 * 60, 6 * 60 + 30)
    assert config.rules[1].span is None
    text, left_out = portable(tomli_w.dumps(config.without_passwords()))
    assert left_out == []
    assert load(tmp_path, text) == config
    assert "pause_s" not in text, "defaults are not written"
    assert Config().needs_restart(config) == ["outputs", "rules", "webhooks"]


PLACES = """
[camera]
uri = "v4l2:/dev/video0"
[[cameras]]
name = "back"
uri = "v4l2:/dev/video2"
rotation = 180
[[places]]
name = "gate"
region = [0, 0, 0.5, 1]
[[places]]
name = "Küche 2"
camera = "back"
group = "rooms"
mirror = true
max_fps = 2
"""


def test_places_are_parts_of_cameras_with_groups_of_their_own_or_shared(tmp_path: Path) -> None:
    config = load(tmp_path, PLACES)
    assert config.places_in_use() == (
        PlaceInUse("gate", "camera", "gate", (0, 0, 0.5, 1)),
        PlaceInUse("Küche 2", "back", "rooms", mirror=True, max_fps=2),
    )
    cameras = config.cameras_in_use()
    assert [(name, one.uri, one.rotation) for name, one in cameras.items()] == [
        ("camera", "v4l2:/dev/video0", 0),
        ("back", "v4l2:/dev/video2", 180),
    ]
    rewritten, left_out = portable(tomli_w.dumps(config.to_table()))
    assert (load(tmp_path, rewritten), left_out) == (config, [])


def test_without_places_the_whole_picture_is_the_only_one(tmp_path: Path) -> None:
    config = load(tmp_path, '[camera]\nplace = "front / door"')
    assert config.places_in_use() == (PlaceInUse("front / door"),)
    assert config.cameras_in_use() == {"camera": config.camera}


def test_a_camera_that_no_place_shows_is_not_used(tmp_path: Path) -> None:
    config = load(tmp_path, '[[cameras]]\nname = "back"\nuri = "sim:"\n[[places]]\nname = "yard"\ncamera = "back"')
    assert list(config.cameras_in_use()) == ["back"]
    assert config.unused_cameras() == {}, "[camera] is as by default: nobody meant it"
    assert list(config.overridden(camera="v4l2:/dev/video0").unused_cameras()) == ["camera"]
    more = load(tmp_path, '[[cameras]]\nname = "back"\nuri = "sim:"\n[[places]]\nname = "yard"')
    assert list(more.unused_cameras()) == ["back"]


def test_a_name_is_the_same_however_its_accents_were_typed(tmp_path: Path) -> None:
    """macOS writes them as characters of their own; each name and each reference to it is composed."""
    text = """
[camera]
uri = "sim:"
[[cameras]]
name = "Tür"
uri = "sim:"
[[places]]
name = "Küche"
camera = "Tür"
group = "Häuser"
[buttons]
uri = "sim:left"
places = { left = "Küche" }
[lights]
place = "Küche"
[[webhooks]]
name = "Öl"
url = "https://example.org/"
[[rules]]
name = "r"
place = "Küche"
webhook = "Öl"
"""
    composed, decomposed = (load(tmp_path, unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))
    assert decomposed == composed
    assert [place.name for place in composed.places] == ["K\u00fcche"]
    alone = load(tmp_path, unicodedata.normalize("NFD", '[camera]\nplace = "Küche"'))
    assert alone.places_in_use()[0].name == "K\u00fcche"


@pytest.mark.parametrize("name", ["गेट", "ประตู", "門", "Ворота", "x"])
def test_a_name_may_have_the_letters_of_any_script(tmp_path: Path, name: str) -> None:
    """Some write vowels as marks, which are no letters."""
    assert load(tmp_path, f'[[places]]\nname = "{name}"').places[0].name == name


@pytest.mark.parametrize("name", ["\u0301a", "a\u20dd", "a\u200bb", "😀", "a" * 41])
def test_a_name_has_nothing_else(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="expected 1 to 40 letters"):
        load(tmp_path, f'[[places]]\nname = "{name}"')


def test_there_may_be_as_many_places_as_over_the_api(tmp_path: Path) -> None:
    sections = [f'[[places]]\nname = "{number}"\ngroup = "all"\n' for number in range(MOST_PLACES + 1)]
    assert len(load(tmp_path, "".join(sections[1:])).places) == MOST_PLACES
    with pytest.raises(InputError, match=r"there are 65 \[\[places\]\], expected at most 64: leave some out"):
        load(tmp_path, "".join(sections))
    # where it is documented
    assert f"{MOST_PLACES} at most" in str(lists()["places"].__doc__)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[[places]]\nname = "a"\n[[places]]\nname = "A"', "places 'a' and 'A' differ only in upper and lower case"),
        ('[[places]]\nname = "a"\n[[places]]\nname = "a"', "place 'a' is there 2 times: give each another name"),
        (
            '[[places]]\nname = "a1"\n[[places]]\nname = "\uff41\uff11"',
            "places 'a1' and '\uff41\uff11' differ only in .* wide",
        ),
        (
            '[[places]]\nname = "a"\n[[places]]\nname = "b"\ngroup = "\uff41"',
            "groups 'a' and '\uff41' differ only in .* wide",
        ),
        ('[[cameras]]\nname = "Camera"\n[[places]]\nname = "a"', "'Camera': that is the name of the camera of"),
        (
            '[[places]]\nname = "Gate"\n[[places]]\nname = "gate-fa77a5"',
            "places 'Gate' and 'gate-fa77a5' would have the same MQTT topics, DEVICE-gate-fa77a5: give one",
        ),
        ('[[places]]\nname = "../etc"', "place '../etc': name = '../etc', expected 1 to 40 letters"),
        ('[[places]]\nname = "a"\ngroup = ".."', "place 'a': group = '..', expected a name"),
        ('[[places]]\nname = "a"\ncamera = "back"', "place 'a': camera = 'back', expected one of .*: camera$"),
        ('[[places]]\nname = "a"\nregion = [0, 0, 2, 1]', "place 'a': region = .*, expected four fractions"),
        (
            '[[places]]\nname = "a"\n[[places]]\nname = "b"\ngroup = "A"',
            "groups 'A' and 'a' differ only in upper and lower case",
        ),
        ('[[cameras]]\nname = "back"', r"\[\[cameras\]\] without \[\[places\]\]"),
        ('[[cameras]]\nname = "camera"\n[[places]]\nname = "a"', "that is the name of the camera of"),
        (
            '[camera]\nuri = "v4l2:a"\n[[cameras]]\nname = "b"\nuri = "v4l2:a?fps=5"\n[[places]]\nname = "a"',
            "camera 'b': uri = 'v4l2:a\\?fps=5' is the camera of 'camera', and only one can read it",
        ),
        (
            '[camera]\nuri = "v4l2:a"\n[[cameras]]\nname = "b"\nuri = "events:v4l2:a"\n[[places]]\nname = "a"',
            "camera 'b': uri = 'events:v4l2:a' is the camera of 'camera', and only one can read it",
        ),
        (
            '[camera]\nuri = "events:metavision:1"\n[[cameras]]\nname = "b"\nuri = "events:metavision:1?window=1s"\n'
            '[[places]]\nname = "a"',
            "is the camera of 'camera', and only one can read it",
        ),
        ('[camera]\nplace = "door"\n[[places]]\nname = "a"', "camera.place = 'door', expected none"),
        (
            '[buttons]\nplaces = { left = "b" }\n[[places]]\nname = "a"',
            "buttons.places: left = 'b', expected one of .*: a$",
        ),
        ('[lights]\nplace = "b"\n[[places]]\nname = "a"', "lights.place = 'b', expected one of .*: a$"),
        ('[[places]]\nname = "a "', "place 'a ': name = 'a ', expected 1 to 40 letters, digits, blanks inside"),
        ('[[places]]\nname = "a"\ngroup = "b "', "place 'a': group = 'b ', expected a name .*, blanks inside"),
        ('[places]\nname = "a"', r"expected sections \[\[places\]\]"),
    ],
)
def test_places_that_do_not_fit_together_are_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


def test_what_a_reload_cannot_take_over_is_named(tmp_path: Path) -> None:
    other = load(tmp_path, "[camera]\nrotation = 90\n[decision]\nvote = 3\n[encoder]\nthreads = 2")
    assert Config().needs_restart(other) == ["camera", "encoder"]


def test_the_example_documents_every_key_with_its_default(tmp_path: Path) -> None:
    text = reference.example()
    assert load(tmp_path, text) == Config(), "the example must set nothing as it stands"
    documented = set()
    section = ""
    for line in text.splitlines():
        if (header := re.fullmatch(r"\[(\w+)\]", line)) or (header := re.fullmatch(r"#\[\[(\w+)\]\]", line)):
            section = header[1]
        elif key := re.match(r"#(?:  )?(\w+) = ", line):
            documented.add((section, key[1]))
    keys = {name: defaults_of(kind) for name, kind in {**sections(), **lists()}.items()}
    assert documented == {(name, key) for name, table in keys.items() for key in table}
    uncommented = re.sub(r"(?m)^#(\w+ = )", r"\1", text)
    assert load(tmp_path, uncommented) == Config(), "the example's values must be the defaults"


@pytest.mark.parametrize(
    ("path", "text"), [("systemd/config.toml", reference.example()), ("docs/configuration.md", reference.page())]
)
def test_the_documentation_of_the_keys_is_up_to_date(path: str, text: str) -> None:
    assert (reference.CHECKOUT / path).read_text(encoding="utf-8") == text, "run `make config-docs`"


def test_a_section_is_checked_whenever_it_is_made() -> None:
    with pytest.raises(InputError, match=r"state\.when_full = 'panic', expected one of 'refuse', 'replace-oldest'"):
        StateConfig(when_full="panic")
    with pytest.raises(InputError, match=r"--dreams = 99, expected a whole number from 0 to 16"):
        ConsolidationConfig().changed("dreams", 99, "--dreams")
    assert DecisionConfig(max_fps=7) == DecisionConfig(max_fps=7.0)
    assert StateConfig(disk_mb=3).disk_bytes == 3 << 20


@pytest.mark.parametrize(
    ("text", "loopback"),
    [
        ("enabled = true", True),
        ('enabled = true\nhost = "::1"', True),
        ('enabled = true\nhost = "::"\nplain_http = true', False),
        ('enabled = true\nhost = "192.168.1.2"\ncertificate = "/c"\nkey = "/k"', False),
    ],
)
def test_the_page_listens_where_it_is_safe(tmp_path: Path, text: str, loopback: bool) -> None:
    config = load(tmp_path, f"[web]\n{text}")
    assert config.web.enabled
    assert config.web.loopback is loopback


def test_a_password_is_neither_shown_outside_nor_in_a_refusal(tmp_path: Path) -> None:
    config = load(
        tmp_path, '[camera]\nuri = "rtsp://me:s3cret@shelf/1?token=s3cret"\n[state]\nfolder = "/srv/things"\n'
    )
    shown = config.without_passwords()
    assert shown["camera"]["uri"] == "rtsp://me:***@shelf/1?token=***"
    assert shown["state"] == config.to_table()["state"]
    assert "s3cret" not in str(shown)
    with pytest.raises(InputError, match=r"camera.uri = 'rstp://me:\*\*\*@shelf', expected a URI that begins with"):
        load(tmp_path, '[camera]\nuri = "rstp://me:s3cret@shelf"')
