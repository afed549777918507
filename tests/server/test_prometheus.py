import re
from collections.abc import Callable
from pathlib import Path

import pytest
from prometheus_client import REGISTRY
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from blockdb.server.http.accepting import JSON, OPENMETRICS, TEXT, chosen
from blockdb.server.metric_reference import inserted, table
from blockdb.server.metric_table import COLLECTION, DATABASE, HISTOGRAMS, SERVER, WHOLE
from blockdb.server.prometheus import OTHERS, Exposition, labelled
from blockdb.statistics import ServerStatistics, Snapshot
from tests.server.watching import requests, snapshot, statistics

HOSTILE = ['quo"te', "back\\slash", "new\nline", '{a="b"} 1', "ünïcödé ☃", "# HELP x"]
SCRAPER = (
    "application/openmetrics-text;version=1.0.0;q=0.6,application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus asks for."""
PARSERS: dict[str, Callable[[str], object]] = {TEXT: parse_text, OPENMETRICS: parse_openmetrics}

Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def parsed(found: Snapshot, kind: str = TEXT, max_collections: int = 50) -> tuple[list[Family], Samples]:
    text, content_type = Exposition(lambda: found, max_collections).render(kind)
    assert content_type.startswith(kind)
    families = list(PARSERS[kind](text.decode()))  # type: ignore[call-overload]
    samples = {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for each in families
        for sample in each.samples
    }
    return families, samples


def of(name: str) -> tuple[tuple[str, str], ...]:
    return (("collection", name),)


@pytest.mark.parametrize("kind", [TEXT, OPENMETRICS])
def test_everything_is_told_with_help_and_type(kind: str) -> None:
    found = snapshot(certificate_expires_ms=1_800_000_000_000)
    families, samples = parsed(found, kind)
    ours = [family for family in families if family.name.startswith("blockdb_")]
    for family in ours:
        assert family.documentation
        assert family.type in ("counter", "gauge", "histogram")
        assert re.fullmatch(r"blockdb_[a-z_]+", family.name)
    names = {name for name, _ in samples}
    for metric in (*COLLECTION, *DATABASE, *SERVER, *WHOLE):
        if "timestamp" not in metric.name:
            assert f"blockdb_{metric.name}" in names
    for timed in HISTOGRAMS:
        assert f"blockdb_{timed.name}_bucket" in names
    assert samples["blockdb_puts_total", of("users")] == 2
    assert samples["blockdb_compacting", of("default")] == 1
    assert samples["blockdb_certificate_expiry_timestamp_seconds", ()] == 1_800_000_000
    assert samples["blockdb_filesystem_free_bytes", ()] == found.disk_free_bytes
    assert any(name.startswith("process_") for name in names)
    assert len({family.name for family in families}) == len(families)


def test_names_of_metrics_are_told_once() -> None:
    names = [metric.name for metric in (*COLLECTION, *DATABASE, *SERVER, *WHOLE, *HISTOGRAMS)]
    assert len({name.removesuffix("_total") for name in names}) == len(names)


def test_histograms_are_cumulative_and_in_seconds() -> None:
    _, samples = parsed(snapshot())
    buckets = {
        float(dict(labels)["le"]): value
        for (name, labels), value in samples.items()
        if name == "blockdb_put_duration_seconds_bucket" and dict(labels)["collection"] == "default"
    }
    values = [buckets[bound] for bound in sorted(buckets)]
    assert values == sorted(values)
    assert [buckets[(1 << 21) / 1e9], buckets[(1 << 22) / 1e9], buckets[(1 << 23) / 1e9]] == [0, 1, 2]
    assert buckets[float("inf")] == samples["blockdb_put_duration_seconds_count", of("default")] == 2
    assert samples["blockdb_put_duration_seconds_sum", of("default")] == pytest.approx(0.010, rel=0.07)


def test_requests() -> None:
    server = ServerStatistics(requests=(requests("put", "grpc", ok=5, Corruption=1),), rejected={"rate": 4})
    _, samples = parsed(snapshot(server=server))
    labels = (("door", "grpc"), ("operation", "put"))
    assert samples["blockdb_requests_total", (labels[0], labels[1], ("outcome", "Corruption"))] == 1
    assert samples["blockdb_request_duration_seconds_count", labels] == 6
    assert samples["blockdb_rejected_total", (("reason", "rate"),)] == 4


@pytest.mark.parametrize("kind", [TEXT, OPENMETRICS])
def test_hostile_names_of_collections_come_back_as_they_were(kind: str) -> None:
    found = snapshot(collections={"default": statistics()} | {name: statistics() for name in HOSTILE})
    _, samples = parsed(found, kind)
    told = {dict(labels)["collection"] for name, labels in samples if name == "blockdb_records"}
    assert told == {"default", *HOSTILE}


def test_many_collections_share_a_label() -> None:
    found = snapshot(collections={"default": statistics()} | {f"c{number:03}": statistics() for number in range(100)})
    _, samples = parsed(found, max_collections=10)
    told = [value for (name, _), value in samples.items() if name == "blockdb_records"]
    assert len(told) == 11
    assert samples["blockdb_records", of(OTHERS)] == 91 * 1234
    assert ("blockdb_block_limit_records", of(OTHERS)) not in samples
    assert samples["blockdb_put_duration_seconds_count", of(OTHERS)] == 91 * 2


def test_a_label_stays_with_its_collection() -> None:
    first = labelled((), ["b", "c", "d"], 2)
    assert first == ("b", "c")
    assert labelled(first, ["a", "b", "c", "d"], 2) == ("b", "c")
    assert labelled(first, ["a", "c", "d"], 2) == ("c", "a")


def test_a_database_without_server_or_certificate() -> None:
    _, samples = parsed(snapshot(server=None))
    names = {name for name, _ in samples}
    assert "blockdb_connections" not in names
    assert "blockdb_certificate_expiry_timestamp_seconds" not in names


def test_the_global_registry_is_left_alone() -> None:
    Exposition(snapshot).render()
    assert not [family.name for family in REGISTRY.collect() if family.name.startswith("blockdb")]


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/plain", TEXT),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", TEXT),
        ("text/*", TEXT),
        ("application/openmetrics-text; version=1.0.0", OPENMETRICS),
        (SCRAPER, OPENMETRICS),
        ("text/plain;q=0", JSON),
        ("text/plain;q=nonsense", JSON),
        (";;,q=,\x00/*", JSON),
    ],
)
def test_what_is_asked_for(accept: str, kind: str) -> None:
    assert chosen(accept) == kind


def test_the_documented_table_is_current() -> None:
    page = (Path(__file__).parents[2] / "docs" / "MONITORING.md").read_text()
    assert inserted(page) == page, "run: python -m blockdb.server.metric_reference docs/MONITORING.md"
    assert "| `blockdb_requests_total` | counter | `operation`, `door`, `outcome` |" in table()


@pytest.mark.parametrize("file", ["prometheus-alerts.yml", "grafana-dashboard.json"])
def test_what_is_deployed_names_metrics_that_there_are(file: str) -> None:
    text = (Path(__file__).parents[2] / "deploy" / file).read_text()
    known = {line.split("`")[1] for line in table().splitlines()[2:]}
    named = set(re.findall(r"blockdb_[a-z_]+", text))
    assert named
    assert {name.removesuffix("_bucket") for name in named} <= known
