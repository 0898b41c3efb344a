"""Modules of a kernel: what each needs comes before it."""

from pathlib import Path

import pytest

from virtual_device.modules import Modules

VERSION = "6.1.0-1-amd64"


@pytest.fixture
def kernel(tmp_path: Path) -> Modules:
    base = tmp_path / "image" / "lib" / "modules" / VERSION
    (base / "kernel").mkdir(parents=True)
    for name, needs in {
        "vivid": b"\0depends=videodev,v4l2-tpg\0",
        "v4l2-tpg": b"\0depends=\0",
        "videodev": b"\0depends=mc\0",
        "mc": b"\0depends=\0",
        "ext4": b"\0depends=jbd2,crc16\0softdep=pre: crc32c\0crypto\0",
        "jbd2": b"\0depends=\0",
        "crc32c_generic": b"\0alias=crc32c\0depends=\0",
    }.items():
        (base / "kernel" / f"{name}.ko").write_bytes(b"\x7fELF" + needs)
    (base / "modules.builtin").write_text("kernel/lib/crc16.ko\nkernel/crypto/crc32c.ko\n")
    for name in ("modules.builtin.modinfo", "modules.order"):
        (base / name).write_text("")
    return Modules(tmp_path / "image", VERSION)


def test_what_is_needed_comes_first(kernel: Modules) -> None:
    assert [path.stem for path in kernel.closure(["vivid", "videodev"])] == ["mc", "videodev", "v4l2-tpg", "vivid"]


def test_what_is_built_in_is_no_module(kernel: Modules) -> None:
    assert [path.stem for path in kernel.closure(["ext4"])] == ["jbd2", "ext4"]


def test_dashes_and_underscores_are_the_same(kernel: Modules) -> None:
    assert "v4l2_tpg" in kernel
    assert "v4l2-tpg" in kernel
    assert "gpio-sim" not in kernel


def test_a_module_that_is_not_there_is_named(kernel: Modules) -> None:
    with pytest.raises(KeyError, match="no module gpio-sim"):
        kernel.closure(["gpio-sim"])


def test_modules_are_copied_to_the_same_place(kernel: Modules, tmp_path: Path) -> None:
    target = tmp_path / "root"
    copied = kernel.copy(["videodev"], target)
    assert [path.relative_to(target) for path in copied] == [
        Path("lib/modules", VERSION, "kernel", name) for name in ("mc.ko", "videodev.ko")
    ]
    assert (target / "lib/modules" / VERSION / "modules.order").is_file()
