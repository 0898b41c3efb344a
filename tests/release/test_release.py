"""What is released: named and dated, without tests, with sums and a bill of materials, the same bytes twice."""

import hashlib
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("hatchling")
pytest.importorskip("shtab")

from edge_app import __version__
from release import sbom
from release.__main__ import NotReleasable, check_contents, check_version, names_in, write_sums
from release.sources import build_sdist, build_wheel
from release.wheels import unpack

REPOSITORY = Path(__file__).resolve().parents[2]
SECTIONS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_this_version_can_be_released() -> None:
    check_version()


def test_the_changelog_keeps_its_format() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    titles = re.findall(r"^## (.*)$", text, re.MULTILINE)
    for title in titles:
        assert title == "[Unreleased]" or re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", title), title
    versions = [title for title in titles if title != "[Unreleased]"]
    assert versions == sorted(versions, reverse=True)
    assert set(re.findall(r"^### (.*)$", text, re.MULTILINE)) <= SECTIONS


def test_files_of_tests_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("edge_app/testing.py", "")
        archive.writestr("numba/tests/test_a.py", "")
    with pytest.raises(NotReleasable, match=r"a\.whl has files of tests in it: numba/tests/test_a\.py"):
        check_contents(path)


def test_files_of_tests_are_not_unpacked_and_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "a-1-py3-none-any.whl"
    record = (
        "a/__init__.py,sha256=x,0\na/conftest.py,sha256=x,0\na/tests/test_a.py,sha256=x,0\na-1.dist-info/RECORD,,\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/__init__.py", "a/conftest.py", "a/tests/test_a.py"):
            archive.writestr(name, "")
        archive.writestr("a-1.dist-info/RECORD", record)
    unpack([path], tmp_path / "site")
    found = [file.name for file in sorted((tmp_path / "site").rglob("*")) if file.is_file()]
    assert found == ["__init__.py", "RECORD"]
    assert (tmp_path / "site/a-1.dist-info/RECORD").read_text().splitlines() == [
        "a/__init__.py,sha256=x,0",
        "a-1.dist-info/RECORD,,",
    ]


@pytest.mark.slow
def test_the_wheel_and_the_sdist_hold_no_tests_and_are_the_same_bytes_twice(wheel: Path, tmp_path: Path) -> None:
    sdist = build_sdist(tmp_path / "one")
    for path in (wheel, sdist):
        assert f"edge_app-{__version__}" in path.name
        check_contents(path)
    assert any(name.endswith("edge_app/cli.py") for name in names_in(sdist))
    assert build_wheel(tmp_path / "two").read_bytes() == wheel.read_bytes()
    assert build_sdist(tmp_path / "two").read_bytes() == sdist.read_bytes()


@pytest.mark.slow
def test_a_wheel_from_the_sdist_names_the_same_commit(wheel: Path, tmp_path: Path) -> None:
    sdist = build_sdist(tmp_path / "sdist")
    subprocess.run(["tar", "-xf", sdist, "-C", tmp_path], check=True)
    source = tmp_path / f"edge_app-{__version__}"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(tmp_path / "again")]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (again,) = (tmp_path / "again").glob("*.whl")
    commits = []
    for path in (wheel, again):
        with zipfile.ZipFile(path) as archive:
            found = [name for name in archive.namelist() if name == "edge_app/commit.txt"]
            commits.append(archive.read(found[0]) if found else b"")
    assert commits[0] == commits[1]


@pytest.mark.slow
def test_twine_accepts_the_metadata(wheel: Path) -> None:
    pytest.importorskip("twine")
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", wheel], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_bill_of_materials_follows_the_schema_and_names_every_encoder(wheel: Path, tmp_path: Path) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="needs the extra release")
    schema = pytest.importorskip("cyclonedx.schema")
    unpack([wheel], tmp_path)
    text = sbom.of_environment(tmp_path)
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None
    for model in (tmp_path / "edge_app" / "firmware_models").glob("*.tflite"):
        assert hashlib.sha256(model.read_bytes()).hexdigest() in text
    assert sbom.of_environment(tmp_path) == text


def test_sums_are_those_of_sha256sum(tmp_path: Path) -> None:
    (tmp_path / "a.whl").write_bytes(b"a")
    write_sums(tmp_path, [tmp_path / "a.whl"])
    subprocess.run(["sha256sum", "--check", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)
