"""Rules stay switched on or off over a restart, until the configuration itself says otherwise."""

from pathlib import Path

import pytest

from edge_app.config import RuleConfig
from edge_app.rules.kept_switches import KeptSwitches

RULES = (RuleConfig(name="a", file="/f"), RuleConfig(name="b", file="/f", enabled=False))


def test_a_switch_is_kept(tmp_path: Path) -> None:
    kept = KeptSwitches(tmp_path / "rules.json", RULES)
    assert kept.switched == {}
    kept.set("a", False)
    kept.set("b", True)
    assert KeptSwitches(tmp_path / "rules.json", RULES).switched == {"a": False, "b": True}


def test_the_configuration_counts_once_it_is_changed(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    kept = KeptSwitches(path, RULES)
    kept.set("a", False)
    kept.set("b", True)
    changed = (RuleConfig(name="a", file="/f"), RuleConfig(name="b", file="/f", enabled=True))
    assert KeptSwitches(path, changed).switched == {"a": False}
    assert KeptSwitches(path, ()).switched == {}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"switched": {"a": [1, true]}}', b'{"switched": {"a": [true]}}']
)
def test_a_file_that_cannot_be_read_counts_as_missing(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "rules.json"
    path.write_bytes(content)
    assert KeptSwitches(path, RULES).switched == {}


def test_a_switch_counts_also_where_it_cannot_be_written(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = KeptSwitches(tmp_path / "nowhere" / "rules.json", RULES)
    kept.set("a", False)
    assert kept.switched == {"a": False}
    assert "rules.json" in caplog.text
    in_memory = KeptSwitches(None, RULES)
    in_memory.set("a", False)
    assert in_memory.switched == {"a": False}
