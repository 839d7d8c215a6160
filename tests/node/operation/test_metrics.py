"""Metrics of a node: what a scrape has, who may read it, and alert rules that name nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from tokaido.node.operation import StoreLine
from tokaido.node.operation.metrics import openmetrics
from tokaido_testing.node_lines import FINE, LINK, NEIGHBOUR, TAMPER, but

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from prometheus_client.metrics_core import Metric

RULES = Path(__file__).parents[3] / "udev" / "tokaido.rules.yml"
UNITS = ("seconds", "bits", "ratio", "keys", "per_second", "total")


def samples(text: bytes) -> dict[str, list[tuple[dict[str, str], float]]]:
    found: dict[str, list[tuple[dict[str, str], float]]] = {}
    parse: Callable[[str], Iterable[Metric]] = text_string_to_metric_families  # which has no types of its own
    for family in parse(text.decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append((dict(sample.labels), sample.value))
    return found


def test_a_scrape_has_all_that_the_status_says() -> None:
    found = samples(openmetrics(but(FINE, alarms=(TAMPER,))))
    assert found["tokaido_node_info"] == [({"node": "otemachi", "status_version": "1"}, 1.0)]
    assert [labels["level"] for labels, value in found["tokaido_node_level"] if value] == ["fine"]
    of = {"link": "field", "neighbour": "koganei"}
    assert found["tokaido_link_qber_ratio"] == [(of, 0.031)]
    assert found["tokaido_link_stock_bits"] == [(of, 8e6)]
    assert ({**of, "fate": "drawn"}, 9e6) in found["tokaido_link_key_bits_total"]
    assert not any(labels["fate"] == "stored" for labels, _ in found["tokaido_link_key_bits_total"])
    assert found["tokaido_pair_reserve_seconds"] == [({"neighbour": "koganei"}, 409.6)]
    assert found["tokaido_neighbour_up"] == [({"neighbour": "koganei"}, 1.0)]
    assert found["tokaido_device_answer_age_seconds"] == [({"device": "alice"}, 0.4)]
    [(labels, value)] = found["tokaido_alarm"]
    assert labels == {"code": "TAMPER", "of": "alice", "severity": "CRITICAL", "acknowledged": "no", "cause": ""}
    assert value == 1.0


def test_what_is_not_known_is_left_out_and_what_is_wrong_is_told() -> None:
    status = but(
        FINE,
        level="not serving",
        store=StoreLine(open=False, why="full", restarts=3),
        links=(but(LINK, qber=None, reserve_s=None, running=False),),
        neighbours=(but(NEIGHBOUR, up=False),),
    )
    found = samples(openmetrics(status))
    assert "tokaido_link_qber_ratio" not in found
    assert "tokaido_link_reserve_seconds" not in found
    assert found["tokaido_store_open"] == [({}, 0.0)]
    assert found["tokaido_store_restarts_total"] == [({}, 3.0)]
    assert found["tokaido_link_running"][0][1] == found["tokaido_neighbour_up"][0][1] == 0.0
    assert [labels["level"] for labels, value in found["tokaido_node_level"] if value] == ["not serving"]


def test_names_that_measure_say_in_what() -> None:
    for name in samples(openmetrics(FINE)):
        measured = re.search(r"rate|age|reserve|stock|key|demand|qber|silent|up_", name)
        assert not measured or re.search("|".join(UNITS), name), name


# --- alert rules ------------------------------------------------------------------------------------------------------


def blocks() -> list[str]:
    return re.split(r"^ +- alert: ", RULES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]


def test_every_alert_asks_for_metrics_that_there_are_and_says_what_to_do() -> None:
    there = set(samples(openmetrics(but(FINE, alarms=(TAMPER,))))) | {"up"}
    assert len(blocks()) > 8
    for block in blocks():
        name, *lines = block.splitlines()
        assert re.fullmatch(r"Tokaido[A-Za-z]+", name)
        told = dict(re.findall(r"^ +(\w+): (.+)$", "\n".join(lines), re.MULTILINE))
        assert set(told) - {"for"} == {"expr", "severity", "summary", "action"}, name
        assert told["severity"] in {"critical", "warning"}
        assert re.fullmatch(r"\d+[smh]", told.get("for", "1m"))
        asked = set(re.findall(r"\btokaido_\w+|\bup\b", told["expr"]))
        assert asked, name
        assert asked <= there, name
        labels = {label for metric in asked - {"up"} for sample in [of(metric)] for label in sample}
        labels |= {"instance", "job"}
        assert set(re.findall(r"\$labels\.(\w+)", block)) <= labels, name
        assert set(re.findall(r"(\w+)=\"", told["expr"])) <= labels, name


def of(metric: str) -> set[str]:
    return set(samples(openmetrics(but(FINE, alarms=(TAMPER,))))[metric][0][0])


def test_promtool_takes_the_rules() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed")
    done = subprocess.run(
        ["promtool", "check", "rules", RULES], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
