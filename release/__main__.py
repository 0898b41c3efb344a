"""`make release`: sdist, wheel, Debian packages and image, checked, with their sums and a bill of materials."""

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from zipfile import ZipFile

from edge_app import __version__
from release import REPOSITORY, deb, sbom
from release.sources import build_sdist, build_wheel
from release.wheels import TARGETS, TESTS, download, unpack

CACHE = REPOSITORY / ".cache" / "release"


class NotReleasable(Exception):
    """A check failed; the message says which file, and what is wrong with it."""


def release(out: Path, *, packages: bool, image: bool) -> list[Path]:
    """Build everything into a folder, which is emptied before, check it, and return the files."""
    check_version()
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    built = [_timed("sdist", lambda: build_sdist(out)), _timed("wheel", lambda: build_wheel(out))]
    for path in built:
        check_contents(path)
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *built], check=True)
    if packages:
        for target in TARGETS:
            name = f"Debian {target.release}, {target.architecture}"
            built.append(_timed(name, lambda target=target: deb.build(target, out, CACHE, built[1])))
            check_contents(built[-1])
            lint(built[-1])
    if image:
        from release.image import SUITE, build_image, own_architecture

        target = next(one for one in TARGETS if (one.suite, one.architecture) == (SUITE, own_architecture()))
        package = out / deb.file_name(target, deb.debian_version(target))
        built.append(_timed("image", lambda: build_image(out, package)))
    built.append(write_sbom(out, built[1]))
    write_sums(out, built)
    return built


def check_version() -> None:
    """Raise NotReleasable unless the changelog has a dated section of this version, and CITATION.cff names it."""
    changes = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    if not re.search(rf"^## \[{re.escape(__version__)}\] - \d{{4}}-\d\d-\d\d$", changes, re.MULTILINE):
        raise NotReleasable(f"CHANGELOG.md has no section `## [{__version__}] - YYYY-MM-DD`")
    if f"\nversion: {__version__}\n" not in (REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"):
        raise NotReleasable(f"CITATION.cff does not name version {__version__}")


def lint(package: Path) -> None:
    """Raise NotReleasable if lintian finds an error in a Debian package."""
    program = shutil.which("lintian")
    if program is None:
        raise NotReleasable("lintian is missing: apt-get install lintian")
    root = ["--allow-root"] if os.geteuid() == 0 else []
    done = subprocess.run([program, "--fail-on", "error", "--quiet", *root, package], check=False)
    if done.returncode:
        raise NotReleasable(f"{package.name}: lintian finds errors, see above")


def check_contents(path: Path) -> None:
    """Raise NotReleasable if a file has files of tests in it."""
    wrong = [name for name in names_in(path) if TESTS.search(name)]
    if wrong:
        raise NotReleasable(f"{path.name} has files of tests in it: {', '.join(wrong[:5])}")


def names_in(path: Path) -> list[str]:
    """Return the names of the files in a wheel, an sdist or a Debian package; empty for others."""
    if path.suffix == ".whl":
        with ZipFile(path) as archive:
            return archive.namelist()
    if path.name.endswith(".tar.gz"):
        with tarfile.open(path) as archive:
            return archive.getnames()
    if path.suffix == ".deb":
        listed = subprocess.run(["dpkg-deb", "--contents", path], check=True, capture_output=True, text=True).stdout
        return [line.split(None, 5)[5] for line in listed.splitlines()]
    return []


def write_sbom(out: Path, wheel: Path) -> Path:
    """Write the bill of materials of a Debian 12 package, and check it against CycloneDX's schema."""
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    with tempfile.TemporaryDirectory() as folder:
        unpack([*download(TARGETS[0], CACHE / f"{TARGETS[0].suite}-{TARGETS[0].architecture}"), wheel], Path(folder))
        text = sbom.of_environment(Path(folder))
    wrong = JsonStrictValidator(SchemaVersion.V1_6).validate_str(text)
    if wrong is not None:
        raise NotReleasable(f"the bill of materials does not follow CycloneDX 1.6: {wrong}")
    path = out / f"edge-app-{__version__}.cdx.json"
    path.write_text(text, encoding="utf-8")
    return path


def write_sums(out: Path, files: Iterable[Path]) -> None:
    """Write SHA256SUMS, as sha256sum does."""
    lines = [f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in sorted(files)]
    (out / "SHA256SUMS").write_text("".join(lines), encoding="ascii")


def _timed(name: str, build: Callable[[], Path]) -> Path:
    start = time.monotonic()
    path = build()
    print(f"{name}: {path.name}, {path.stat().st_size / 1e6:.1f} MB, {time.monotonic() - start:.0f} s", flush=True)
    return path


def main() -> int:
    """Build a release; return 1 if a check fails."""
    parser = argparse.ArgumentParser(prog="python -m release", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", metavar="DIR")
    parser.add_argument("--only-python", action="store_true", help="sdist and wheel alone")
    parser.add_argument("--no-image", action="store_true", help="no container image (it needs root and buildah)")
    args = parser.parse_args()
    os.umask(0o022)
    try:
        release(args.out, packages=not args.only_python, image=not (args.only_python or args.no_image))
    except NotReleasable as error:
        print(f"not releasable: {error}", file=sys.stderr)
        return 1
    print((args.out / "SHA256SUMS").read_text(), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
