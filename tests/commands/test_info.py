import json

import pytest

from edge_app import cli
from edge_app.commands.info import gather, report
from edge_app.version import full_version


def test_json_names_what_is_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["info", "--json"]) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["edge_app"] == full_version()
    assert len(values["model"]["sha256"]) == 64
    assert values["model"]["xnnpack"] is True or not values["model"]["runtime"].startswith("ai-edge-litert")
    assert len(values["params"]["digest"]) >= 16
    assert values["machine"]["cores"] >= 1
    assert len(values["arithmetic"]["embedding_sha256"]) == 64
    assert values["arithmetic"]["equal"] == (
        values["arithmetic"]["embedding_sha256"] == values["arithmetic"]["expected"]
    )
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


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({"equal": True}, "same bits as x86-64 (embedding 1111111111111111 of"),
        ({"equal": True, "shipped": False}, "same bits as the manifest's maker"),
        ({"equal": False, "expected": "2" * 64}, "OTHER BITS than x86-64"),
        ({"equal": False, "expected": "2" * 64}, "there 2222222222222222): decisions may differ"),
        ({"equal": None, "expected": None}, "the manifest has no digest to compare with"),
        ({"compared": True}, "avx2, sme: compared frame by frame with the reference"),
        ({"compared": False}, "avx2, sme: not compared frame by frame"),
    ],
)
def test_whether_the_arithmetic_is_that_of_other_machines(found: dict[str, object], told: str) -> None:
    values = gather()
    values["machine"]["simd"] = ("avx2", "sme")
    values["arithmetic"] = {
        "embedding_sha256": "1" * 64,
        "expected": "1" * 64,
        "equal": True,
        "shipped": True,
        "compared": True,
    } | found
    assert told in report(values)
