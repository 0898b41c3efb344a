"""Readers of recordings: sound, cut off, damaged; the decoder's process may do anything."""

import os
import random
import struct
from contextlib import nullcontext, suppress
from pathlib import Path

import numpy as np
import pytest

from edge_app.devices import event_files, event_process
from edge_app.devices.event_files import KINDS, EventFile
from edge_app.errors import DeviceError, RuntimeMissing
from support.event_files import SIZE, Event, dat, evt2, evt3, moving_bar, save

pytest.importorskip("faery")
KINDS_WRITTEN = ("evt2", "evt3", "dat", "aedat4")


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the decoder's process start late on a busy machine."""
    monkeypatch.setattr(event_files, "PATIENCE_S", 60.0)


def read(path: Path, size: tuple[int, int] | None = None) -> tuple[tuple[int, int], list[Event]]:
    with EventFile(f"events:{path}", path, size) as file:
        packets = [zip(*(column.tolist() for column in packet), strict=True) for packet in file.packets()]
        return file.size, [event for packet in packets for event in packet]


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_events_are_read_as_they_were_written(kind: str, tmp_path: Path) -> None:
    events = moving_bar(3000)
    assert read(save(tmp_path, kind, events)) == (SIZE, events)


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_long_recordings_come_in_packets(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path, kind, moving_bar(50_000, every_us=3))
    with EventFile("events:long", path, None) as file:
        lengths = [len(packet.t) for packet in file.packets()]
    assert sum(lengths) == 50_000
    assert max(lengths) <= event_process.helper.MOST_EVENTS


def test_vectors_of_evt3_are_read(tmp_path: Path) -> None:
    """VECT_BASE_X and VECT_12: up to twelve pixels of a row in one word."""
    words = [0x8 << 12, 0x6 << 12 | 9, 7, 0x3 << 12 | 1 << 11 | 20, 0x4 << 12 | 0b1001]
    path = tmp_path / "vectors.raw"
    path.write_bytes(evt3([]) + struct.pack(f"<{len(words)}H", *words))
    assert read(path)[1] == [(9, 20, 7, True), (9, 23, 7, True)]


def test_the_end_of_a_name_may_be_in_capitals(tmp_path: Path) -> None:
    path = tmp_path / "A.DAT"
    path.write_bytes(dat(moving_bar(5)))
    assert len(read(path)[1]) == 5


def test_a_header_without_a_size_needs_the_option(tmp_path: Path) -> None:
    path = tmp_path / "old.raw"
    path.write_bytes(evt2(moving_bar(5), None))
    with pytest.raises(DeviceError, match=r"no size information.*write the sensor's, for example \?size=640x480"):
        read(path)
    assert read(path, SIZE) == (SIZE, moving_bar(5))


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_a_recording_that_is_cut_off_gives_its_beginning(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path, kind, moving_bar(20_000, every_us=7))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 1])
    found: list[int] = []
    # only AEDAT4 says how long it is
    expected = pytest.raises(DeviceError, match="events:cut: the rest") if kind == "aedat4" else nullcontext()
    with expected, EventFile("events:cut", path, None) as file:
        found.extend(len(packet.t) for packet in file.packets())
    assert 0 < sum(found) < 20_000


@pytest.mark.parametrize("kind", ["evt2", "evt3", "dat"])
def test_an_event_outside_the_sensor_ends_the_recording_with_the_reason(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path, kind, [(1, 63, 47, True), (2, 64, 47, True)])
    with pytest.raises(DeviceError, match=r"events:.*the rest cannot be decoded: .*64"):
        read(path)


NO_RECORDINGS = (b"", b"\0", b"% evt 9.0\n% end\n", b"no recording" * 100, b"#!AER-DAT4.0\r\n\xff\xff\xff\xff")


@pytest.mark.parametrize("suffix", sorted(KINDS))
@pytest.mark.parametrize(
    "data", [b"", b"\0", b"% evt 9.0\n% end\n", b"no recording" * 100, b"#!AER-DAT4.0\r\n\xff\xff\xff\xff"]
)
def test_what_is_no_recording_is_named(suffix: str, data: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"x{suffix}"
    path.write_bytes(data)
    with pytest.raises(DeviceError, match=f"events:.*x{suffix}: (cannot be decoded|the decoder crashed)"):
        read(path)


@pytest.mark.parametrize("size", [(65535, 1), (4096, 4096), (0, 48)])
def test_a_size_that_no_sensor_has_is_refused(size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "x.raw"
    path.write_bytes(evt2(moving_bar(5), size))
    with pytest.raises(DeviceError, match="the header says {} x {} pixels".format(*size)):
        read(path)


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("x.raw", b"", "files begin with '%', this one with nothing: the file is empty"),
        ("x.raw", b"\xff\xd8", "this one with '.xff'; copy or record it again"),
        ("x.aedat4", b"% evt 2.0\n", "files begin with '#!AER-DAT4', this one with '% evt 2.0.n'"),
        ("x.raw", b"% evt 7.0\n% geometry 64x48\n% end\n", "unknown version.* copy or record it again"),
        (
            "x.dat",
            b"% Version 2\n% Width 64\n% Height 48\n\x0c\x10",
            "event size .16. not supported; the file is damaged",
        ),
    ],
)
def test_the_way_out_is_that_of_the_fault(name: str, data: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DeviceError, match=reason):
        read(tmp_path / name)


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """The kinds are those of `open_to_read`, in tests/test_files.py."""
    os.mkfifo(tmp_path / "pipe.aedat4")
    for name, reason in (("nowhere.raw", "cannot be read: No such file"), ("pipe.aedat4", "is a named pipe")):
        with pytest.raises(DeviceError, match=reason):
            read(tmp_path / name)


def test_a_name_may_be_anything(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"k\xe4se?a,b%\n.raw")
    path.write_bytes(evt2(moving_bar(5)))
    assert len(read(path)[1]) == 5


def impostor(folder: Path, code: str) -> Path:
    path = folder / "helper.py"
    path.write_text(f"import os, sys, time\n{code}\n")
    return path


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("os.abort()", "the decoder crashed"),
        ("sys.exit('thread panicked')", "the decoder crashed.*it said: thread panicked"),
        ("print('a warning')", "the decoder said b'a warning"),
        ("time.sleep(100)", "the decoder hangs"),
        ("os.write(1, b'{\"size\": [4, 4]}\\n'); os.abort()", "the decoder crashed"),
        ("os.write(1, b'{\"size\": [4, 4]}\\n'); time.sleep(100)", "the decoder hangs"),
        ("os.write(1, b'{\"size\": [4, 4]}\\n' + b'\\x7f' * 8)", "the decoder went wrong"),
    ],
)
def test_a_decoder_that_crashes_or_hangs_is_an_error(
    code: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(tmp_path, "evt2", moving_bar(5))
    monkeypatch.setattr(event_process.helper, "__file__", str(impostor(tmp_path, code)))
    # until it has printed, only a hanging one may be given up
    monkeypatch.setattr(event_files, "PATIENCE_S", 60.0 if "sleep" not in code else 1.0)
    with pytest.raises(DeviceError, match=reason):
        read(path)


def test_without_faery_the_command_that_installs_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, "evt2", moving_bar(5))
    code = 'os.write(1, b\'{"error": "No module named faery", "missing": true}\\n\')'
    monkeypatch.setattr(event_process.helper, "__file__", str(impostor(tmp_path, code)))
    with pytest.raises(RuntimeMissing, match=r"pip install 'edge-app\[events\]'"):
        read(path)


def damaged(whole: bytes, chance: random.Random) -> bytes:
    data = bytearray(whole)
    for _ in range(chance.randint(1, 6)):
        # the head more often than the events
        where = chance.randrange(min(len(data), 400) if chance.random() < 0.7 else len(data))
        data[where] = chance.choice([0, 0xFF, 0x80, data[where] ^ 1 << chance.randrange(8)])
    return bytes(data[: chance.randint(len(data) // 2, len(data))])


@pytest.mark.parametrize("kind", KINDS_WRITTEN)
def test_a_damaged_recording_is_an_error_or_events(kind: str, tmp_path: Path) -> None:
    path = save(tmp_path, kind, moving_bar(200))
    whole, chance = path.read_bytes(), random.Random(kind)
    for _ in range(6):
        path.write_bytes(damaged(whole, chance))
        with suppress(DeviceError), EventFile("events:damaged", path, None) as file:
            for packet in file.packets():
                assert len({len(column) for column in packet}) == 1
                assert packet.t.dtype == np.uint64
