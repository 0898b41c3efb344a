"""Prometheus's parser reads the metrics."""

import pytest

from edge_app.control import LabelTally
from edge_app.devices.ports import NS_PER_S
from edge_app.web.metrics import PlaceMetrics, exposition
from support.pipeline_parts import decided
from support.served import Served, api

parser = pytest.importorskip("prometheus_client.parser", reason="needs prometheus_client (extra dev)")


def test_prometheus_reads_them(served: Served) -> None:
    served.http.post(api('/classes/a"b%5Cc/teach'))
    answer = served.http.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    families = {family.name: family for family in parser.text_string_to_metric_families(answer.text)}
    assert families["edge_app_healthy"].samples[0].value == 1
    assert families["edge_app_taught"].samples[0].value == 1
    assert families["edge_app_decisions"].samples[0].value >= 3
    (sample,) = families["edge_app_class_examples"].samples
    assert sample.labels == {"class": 'a"b\\c'}
    decided = families["edge_app_class_decisions"].samples
    assert {sample.labels["place"] for sample in decided} == {"camera"}
    assert sum(sample.value for sample in decided) >= 3
    assert len(families["edge_app_class_seconds"].samples) == len(decided)
    assert all(family.documentation and family.type in ("gauge", "counter") for family in families.values())
    lines = [line for line in answer.text.splitlines() if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)


def test_before_anything_was_decided(served: Served) -> None:
    status = served.control.status()._replace(last_decision=None, fps=None, temperature_c=51.5)
    families = {
        family.name: family
        for family in parser.text_string_to_metric_families(
            exposition([PlaceMetrics("default", status, [], served.control.tally)], streams=1, pictures=2)
        )
    }
    assert families["edge_app_temperature_celsius"].samples[0].value == 51.5
    assert families["edge_app_class_examples"].samples == []
    assert "edge_app_decision_confidence" not in families


def test_several_places_are_told_apart_and_classes_are_those_of_groups(served: Served) -> None:
    served.http.post(api("/classes/mug/teach"))
    status, classes = served.control.status(), served.control.classes()
    places = []
    for place, group in (("gate", "doors"), ("yard", "doors"), ("shelf", "shelf")):
        tally = LabelTally(place, NS_PER_S)
        tally.listen(decided("mug", place=place))
        places.append(PlaceMetrics(group, status, classes, tally))
    text = exposition(places, streams=0, pictures=0)
    families = {family.name: family for family in parser.text_string_to_metric_families(text)}
    for name in ("edge_app_healthy", "edge_app_decisions", "edge_app_decision_confidence", "edge_app_class_decisions"):
        assert [sample.labels["place"] for sample in families[name].samples] == ["gate", "yard", "shelf"]
    for name in ("edge_app_taught", "edge_app_class_examples", "edge_app_rebuilding"):
        assert [sample.labels["group"] for sample in families[name].samples] == ["doors", "shelf"]
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    assert len({line.rpartition(" ")[0] for line in lines}) == len(lines)
