import json

import pytest

from edge_app import __version__, cli


def test_json_names_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["edge_app"] == __version__
    assert len(values["model"]["sha256"]) == 64
    assert values["model"]["xnnpack"] is True or not values["model"]["runtime"].startswith("ai-edge-litert")
    assert len(values["params"]["digest"]) >= 16
    assert values["machine"]["cores"] >= 1
    assert set(values["cache"]) == {"folder", "files", "reason"}


def test_text_shows_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert cli.run(["info"]) == 0
    text = capsys.readouterr().out
    for shown in (values["model"]["sha256"], values["machine"]["cpu"], values["params"]["digest"][:16]):
        assert shown in text


def test_unknown_model_is_status_3(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "--model", "nothing-of-this-name"]) == 3
    assert "nothing-of-this-name" in capsys.readouterr().err
