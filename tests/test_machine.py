from pathlib import Path

import pytest

from edge_app import machine


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (
            "processor\t: 0\nmodel name\t: Some CPU @ 2.0GHz\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2.0GHz\n",
            "Some CPU @ 2.0GHz",
        ),
        ("processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0b\n\nModel\t\t: Raspberry Pi 5\n", "ARM Cortex-A76"),
        ("processor\t: 0\nCPU implementer\t: 0x99\nCPU part\t: 0xabc\n", "0x99 0xabc"),
    ],
)
def test_cpu_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.cpu_name() == name


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("flags\t\t: fpu sse4_1 avx avx2\n", ("sse4_1", "avx", "avx2")),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp cpuid\n", ("asimd", "asimddp")),
        ("processor\t: 0\nmodel name\t: avx2 asimd\n", ()),
    ],
)
def test_simd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, found: tuple[str, ...]) -> None:
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(machine, "CPUINFO", tmp_path / "cpuinfo")
    assert machine.simd() == found


def test_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").write_bytes(b"Raspberry Pi 4 Model B Rev 1.4\0")
    monkeypatch.setattr(machine, "BOARD", tmp_path / "model")
    assert machine.board() == "Raspberry Pi 4 Model B Rev 1.4"
    monkeypatch.setattr(machine, "BOARD", tmp_path / "nothing")
    assert machine.board() is None


def test_memory_follows_what_is_taken() -> None:
    before = machine.memory_mb()["rss"]
    held = bytearray(b"x" * (64 * 2**20))
    after = machine.memory_mb()
    assert before is not None
    assert after["rss"] is not None
    assert after["peak"] is not None
    assert after["rss"] - before > 50
    assert after["peak"] >= after["rss"] - 1
    assert len(held) == 64 * 2**20


def test_nothing_to_read_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CPUINFO", "BOARD", "STATUS"):
        monkeypatch.setattr(machine, name, tmp_path / "nothing")
    assert machine.memory_mb() == {"rss": None, "peak": None}
    assert machine.describe()["board"] is None
    assert machine.describe()["cpu"]
    assert machine.describe()["simd"] == ()


def test_versions_name_what_is_installed() -> None:
    import numpy

    assert machine.versions()["numpy"] == numpy.__version__
    assert set(machine.versions()) <= set(machine.PACKAGES)
