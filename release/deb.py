"""The Debian package: an environment with all wheels in /opt/edge-app, the unit, and what the system needs to know.

`python -m release.deb SUITE ARCHITECTURE --out DIR` builds one for this checkout.
"""

import argparse
import gzip
import os
import re
import shutil
import subprocess
import tempfile
from email.utils import formatdate
from pathlib import Path

from edge_app import __version__
from release import REPOSITORY, sbom
from release.completion import completion
from release.man_page import man_page
from release.sources import build_wheel, epoch
from release.wheels import TARGETS, Target, download, unpack

HERE = Path(__file__).parent
HOME = "opt/edge-app"
SYSTEM_FILES = {
    "systemd/edge-app.sysusers": "usr/lib/sysusers.d/edge-app.conf",
    "systemd/70-edge-app.rules": "usr/lib/udev/rules.d/70-edge-app.rules",
    "release/debian/edge-app.tmpfiles": "usr/lib/tmpfiles.d/edge-app.conf",
    "release/debian/copyright": "usr/share/doc/edge-app/copyright",
    "release/debian/lintian-overrides": "usr/share/lintian/overrides/edge-app",
}
FIRST = (("camera", "uri", '"sim:scene=shapes"'), ("web", "enabled", "true"))
"""Section, key and value of the first configuration; the simulation of shapes needs no library more."""
LEVEL = 1
"""Of xz: a fifth of the time that level 6 takes, for 18 % more bytes; zstd's files are larger for the same time.

xz makes the same bytes with any number of threads.
"""
SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
MAINTAINER = "The edge-app authors <edge-app@localhost.invalid>"
DEPENDS = (
    "procps, python3, python{python}, libc6 (>= 2.34), libgcc-s1, libstdc++6, "
    "systemd | systemd-standalone-sysusers, systemd | systemd-standalone-tmpfiles"
)
CONTROL = """\
Package: edge-app
Version: {version}
Architecture: {architecture}
Maintainer: {maintainer}
Installed-Size: {size}
Depends: {depends}
Suggests: gstreamer1.0-tools, python3-picamera2, gpiod, v4l-utils
Section: science
Priority: optional
Description: camera that learns
 Hold an object up, press a button, and the device recognises it from then on.
 A frozen int8 encoder turns frames into spike counts, and a spiking classifier
 in integer arithmetic learns from each press. Its page is served to this
 machine at port 8765; the configuration is /etc/edge-app/config.toml.
 .
 The package brings its own Python libraries and needs no network.
"""


def debian_version(target: Target, version: str = __version__) -> str:
    """Return the version of the package: 0.2.0-1+deb12."""
    return f"{version}-1+deb{target.release}"


def file_name(target: Target, version: str) -> str:
    """Return the name of the package's file."""
    return f"edge-app_{version}_{target.architecture}.deb"


def build_tree(target: Target, wheels: list[Path], own: Path, root: Path) -> None:
    """Write the package's files below `root`, from the wheels of `target` and edge-app's own."""
    home = root / HOME
    site = home / "lib" / f"python{target.python}" / "site-packages"
    unpack([*wheels, own], site)
    _environment(home, target.python)
    for source, place in SYSTEM_FILES.items():
        _write(root / place, (REPOSITORY / source).read_bytes())
    unit = (REPOSITORY / "systemd" / "edge-app.service").read_text(encoding="utf-8")
    unit = unit.replace("@PYTHON@", f"/{HOME}/bin/python3").replace("# Installed by `edge-app install-service`, ", "# ")
    _write(root / "usr/lib/systemd/system/edge-app.service", unit.encode())
    _write(root / "usr/share/edge-app/config.toml", configuration().encode())
    (root / "usr/bin").mkdir(parents=True)
    (root / "usr/bin/edge-app").symlink_to(f"/{HOME}/bin/edge-app")
    _documents(root, site, debian_version(target))


def configuration() -> str:
    """Return the first configuration: all keys commented out, but for a simulated camera, and the page on loopback."""
    text = (REPOSITORY / "systemd" / "config.toml").read_text(encoding="utf-8")
    for section, key, value in FIRST:
        before, mark, after = text.partition(f"[{section}]\n")
        line = re.search(rf"^#{key} = .*$", after, re.MULTILINE)
        if not mark or line is None:
            raise ValueError(f"systemd/config.toml has no key {key} in [{section}]")
        text = f"{before}{mark}{after[: line.start()]}{key} = {value}{after[line.end() :]}"
    return text


def pack(root: Path, target: Target, out: Path, version: str, *, compression: str = "xz") -> Path:
    """Pack the files below `root` and return the package, the same bytes for the same files."""
    when = epoch()
    size = sum(path.lstat().st_size for path in root.rglob("*") if not path.is_dir()) // 1024
    fields = {"version": version, "architecture": target.architecture, "size": size, "python": target.python}
    fields |= {"maintainer": MAINTAINER, "depends": DEPENDS.format(python=target.python)}
    control = root / "DEBIAN"
    shutil.rmtree(control, ignore_errors=True)
    _write(control / "control", CONTROL.format(**fields).encode())
    for name in SCRIPTS:
        _write(control / name, (HERE / "debian" / name).read_bytes(), 0o755)
    for path in sorted(root.rglob("*"), reverse=True):
        os.utime(path, (when, when), follow_symlinks=False)
    os.utime(root, (when, when))
    out.mkdir(parents=True, exist_ok=True)
    package = out / file_name(target, version)
    level = ["-Znone"] if compression == "none" else [f"-Z{compression}", f"-z{LEVEL}"]
    command = ["dpkg-deb", "--root-owner-group", "--threads-max=2", *level, "--build", str(root), str(package)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env={**os.environ, "SOURCE_DATE_EPOCH": str(when)})
    return package


def build(target: Target, out: Path, cache: Path, own: Path, *, compression: str = "xz") -> Path:
    """Build the package of a target from pinned wheels and edge-app's own."""
    wheels = download(target, cache / f"{target.suite}-{target.architecture}")
    with tempfile.TemporaryDirectory(prefix="edge-app-deb-") as folder:
        root = Path(folder) / "root"
        root.mkdir(mode=0o755)
        build_tree(target, wheels, own, root)
        return pack(root, target, out, debian_version(target), compression=compression)


def _environment(home: Path, python: str) -> None:
    """Write what makes a folder a virtual environment, with the one command."""
    settings = f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {python}\n"
    _write(home / "pyvenv.cfg", settings.encode())
    (home / "bin").mkdir()
    (home / "bin" / "python3").symlink_to(f"/usr/bin/python{python}")
    script = f"#!/{HOME}/bin/python3\nfrom edge_app.cli import main\n\nmain()\n"
    _write(home / "bin" / "edge-app", script.encode(), 0o755)


def _documents(root: Path, site: Path, version: str) -> None:
    documents = root / "usr/share/doc/edge-app"
    date = formatdate(epoch(), usegmt=True).replace("GMT", "+0000")
    entry = f"edge-app ({version}) stable; urgency=medium\n\n  * See changelog.gz.\n\n -- {MAINTAINER}  {date}\n"
    _write(documents / "changelog.Debian.gz", _zipped(entry.encode()))
    _write(documents / "changelog.gz", _zipped((REPOSITORY / "CHANGELOG.md").read_bytes()))
    _write(documents / "sbom.cdx.json", sbom.of_environment(site).encode())
    _write(root / "usr/share/man/man1/edge-app.1.gz", _zipped(man_page(epoch()).encode()))
    _write(root / "usr/share/bash-completion/completions/edge-app", completion("bash").encode())
    _write(root / "usr/share/zsh/vendor-completions/_edge-app", completion("zsh").encode())


def _zipped(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def _write(path: Path, data: bytes, mode: int = 0o644) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    path.chmod(mode)


def main() -> None:
    """Build one package."""
    parser = argparse.ArgumentParser(prog="python -m release.deb", description=__doc__)
    parser.add_argument("suite", choices=sorted({target.suite for target in TARGETS}))
    parser.add_argument("architecture", choices=sorted({target.architecture for target in TARGETS}))
    parser.add_argument("--out", type=Path, default=REPOSITORY / "dist", metavar="DIR")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / ".cache" / "release", metavar="DIR")
    parser.add_argument("--fast", action="store_true", help="do not compress: for tests")
    args = parser.parse_args()
    os.umask(0o022)
    target = next(one for one in TARGETS if (one.suite, one.architecture) == (args.suite, args.architecture))
    with tempfile.TemporaryDirectory(prefix="edge-app-wheel-") as folder:
        own = build_wheel(Path(folder))
        print(build(target, args.out, args.cache, own, compression="none" if args.fast else "xz"))


if __name__ == "__main__":
    main()
