"""install-service, and the unit that it installs, as systemd itself judges it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from edge_app import cli
from edge_app.commands.install_service import FILES, JETSON, NETWORK, _check_place, first_token, source_of, unit_text
from edge_app.config import load_config
from edge_app.errors import InputError

NAMES = [str(file.target) for file in FILES]


@pytest.fixture
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    path = tmp_path / "edge-app.service"
    path.write_text(unit_text(sys.executable), encoding="utf-8")
    return path


def test_files_are_written_below_a_root_and_the_configuration_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["install-service", "--root", str(tmp_path)]) == 0
    written = sorted("/" + path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert written == sorted(NAMES)
    unit = (tmp_path / "etc/systemd/system/edge-app.service").read_text()
    assert f"ExecStart={sys.executable} -m edge_app run --config /etc/edge-app/config.toml\n" in unit
    assert "@PYTHON@" not in re.sub(r"(?m)^#.*", "", unit)
    config = tmp_path / "etc/edge-app/config.toml"
    assert load_config(config, {}) == load_config(None, {})
    config.write_text("[decision]\nvote = 3\n")
    (tmp_path / "etc/systemd/system/edge-app.service").write_text("old")
    capsys.readouterr()
    assert cli.run(["install-service", "--root", str(tmp_path), "--network"]) == 0
    assert f"kept  {config}" in capsys.readouterr().out
    assert config.read_text() == "[decision]\nvote = 3\n"
    assert (tmp_path / "etc/systemd/system/edge-app.service").read_text() == unit
    assert (tmp_path / NETWORK.target.relative_to("/")).is_file()


def test_the_first_token_is_made_once_and_shown_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first_token(tmp_path)
    shown = capsys.readouterr().out
    token = shown.split()[-1]
    assert token.startswith("edge-")
    path = tmp_path / "tokens.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text()
    first_token(tmp_path)
    assert capsys.readouterr().out == ""


def test_a_dry_run_shows_all_and_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["install-service", "--dry-run", "--network"]) == 0
    shown = capsys.readouterr().out
    for name in (*NAMES, str(NETWORK.target), "systemd-sysusers", "-m edge_app warmup, as edge-app"):
        assert name in shown
    assert cli.run(["install-service", "--dry-run", "--root", str(tmp_path)]) == 0
    assert list(tmp_path.iterdir()) == []


def test_who_may_not_and_where_it_cannot_work_is_said() -> None:
    with pytest.raises(InputError, match=r"run it as root \(sudo\), or with --dry-run"):
        _check_place(Path("/opt/edge-app"), 1000)
    for prefix in ("/home/pi/venv", "/root/venv"):
        with pytest.raises(
            InputError, match=f"the service cannot read {prefix}: install .*pip install SOURCE, a checkout or"
        ):
            _check_place(Path(prefix), 0)
    _check_place(Path("/opt/edge-app"), 0)
    for python in ("/opt/my apps/python", "python3", "/opt/a%b/python"):
        with pytest.raises(InputError, match="cannot stand in a systemd unit"):
            unit_text(python)


def test_what_cannot_be_written_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "etc").write_text("no folder")
    assert cli.run(["install-service", "--root", str(tmp_path)]) == 1
    assert "edge-app.conf cannot be written: Not a directory" in capsys.readouterr().err


def drop_in(unit: Path, name: str) -> Path:
    """Put a shipped drop-in where systemd looks for it."""
    target = unit.with_name(unit.name + ".d") / name
    target.parent.mkdir(exist_ok=True)
    target.write_text(source_of(name).read_text())
    return target


@pytest.mark.parametrize("name", ["network.conf", "jetson.conf"])
def test_systemd_finds_nothing_wrong_with_the_drop_ins(analyze: str, unit: Path, name: str) -> None:
    text = drop_in(unit, name)
    done = subprocess.run([analyze, "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    text.write_text(text.read_text() + "DeviceAllows=/dev/null rw\n")
    done = subprocess.run([analyze, "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True)
    assert "DeviceAllows" in done.stderr, "this check can fail"


def test_systemd_finds_nothing_wrong_with_the_unit(analyze: str, unit: Path) -> None:
    done = subprocess.run([analyze, "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("WatchdogSec=", "WatchdogSecs="))
    done = subprocess.run([analyze, "verify", "--recursive-errors=no", str(unit)], capture_output=True, text=True)
    assert done.returncode != 0, "this check can fail"


@pytest.mark.parametrize("drop_ins", [(), ("network.conf",), ("jetson.conf",), ("network.conf", "jetson.conf")])
def test_systemd_rates_the_units_exposure_at_most_2(analyze: str, unit: Path, drop_ins: tuple[str, ...]) -> None:
    for name in drop_ins:
        drop_in(unit, name)
    command = [analyze, "security", "--offline=true", "--threshold=20", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_unit_keeps_what_only_a_run_would_tell() -> None:
    """Rated well or not: with these the program does not work, or works otherwise."""
    settings = re.findall(r"(?m)^(\w+)=(.*)$", source_of("edge-app.service").read_text())
    keys = [key for key, _ in settings]
    assert "MemoryDenyWriteExecute" not in keys, "numba compiles"
    assert "ProcSubset" not in keys, "the TFLite runtime reads /proc/cpuinfo"
    assert "PrivateDevices" not in keys, "the camera is a device"
    assert ("SystemCallErrorNumber", "EPERM") in settings, "numpy calls mbind"
    assert ("CacheDirectory", "edge-app") in settings
    assert "PrivateNetwork" not in keys, "the page answers on loopback"
    assert {("IPAddressDeny", "any"), ("IPAddressAllow", "localhost")} <= set(settings)
    assert any("NUMBA_CACHE_DIR=/var/cache/edge-app" in value for _, value in settings)
    assert {"DeviceAllow": 4}.items() <= {key: keys.count(key) for key in keys}.items()


def test_a_jetsons_camera_gets_one_socket_and_its_devices_and_no_more() -> None:
    settings = re.findall(r"(?m)^(\w+)=(.*)$", source_of("jetson.conf").read_text())
    assert {key for key, _ in settings} == {"Wants", "After", "BindPaths", "DeviceAllow", "SupplementaryGroups"}
    assert [value for key, value in settings if key == "BindPaths"] == ["/tmp/argus_socket"]
    devices = [value for key, value in settings if key == "DeviceAllow"]
    assert all(re.fullmatch(r"(char-nvhost\*|/dev/(nv|host1x|dri/render)\S*) rw", value) for value in devices), devices


@pytest.mark.parametrize(
    ("config", "options", "installed"),
    [
        ("", [], False),
        ("", ["--jetson"], True),
        ('[camera]\nuri = "gst:jetson-csi#fps=15"\n', [], True),
        ('[camera]\nuri = "v4l2:/dev/video0"\n', [], False),
        ("[camera\n", [], False),
    ],
)
def test_a_jetsons_camera_is_let_through_where_it_is_used(
    tmp_path: Path, config: str, options: list[str], installed: bool
) -> None:
    if config:
        path = tmp_path / "etc/edge-app/config.toml"
        path.parent.mkdir(parents=True)
        path.write_text(config)
    assert cli.run(["install-service", "--root", str(tmp_path), *options]) == 0
    assert (tmp_path / JETSON.target.relative_to("/")).is_file() is installed


def test_the_unit_and_the_program_agree_on_the_watchdog() -> None:
    from edge_app.pipeline.capture import Capture
    from edge_app.pipeline.stage import longest_waits
    from edge_app.pipeline.teaching import Teacher
    from edge_app.service import check_waits

    seconds = re.search(r"(?m)^WatchdogSec=(\d+)$", source_of("edge-app.service").read_text())
    assert seconds is not None
    stages = {"capture": Capture, "teacher": Teacher}
    check_waits(longest_waits(stages), float(seconds[1]))  # type: ignore[arg-type]
