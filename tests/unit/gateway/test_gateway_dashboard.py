"""The dashboard and the alert rules ask for what the gateway exposes, and for nothing else."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from tests.unit.gateway.gateway_fakes import a_grant
from tests.unit.gateway.observed import AT, AnEnd, a_call, a_close
from tests.unit.gateway.test_gateway_metrics import NOW, a_file, a_status

from quartermaster.gateway.metrics import Meters
from quartermaster.gateway.metrics_text import FAMILIES, exposition
from quartermaster.gateway.status import LaneStatus, SharedShown, Tallies
from quartermaster.kernel.units import Counts

DEPLOY = Path(__file__).resolve().parents[3] / "deploy"
NAME = re.compile(r"\bquartermaster_[a-z0-9_]+")
SELECTED = re.compile(r"(quartermaster_[a-z0-9_]+)\{([^}]*)\}")
BY = re.compile(r"\bby \(([^)]*)\)")


def everything() -> str:
    """An exposition in which every family has a sample."""
    meters = Meters()
    counts = Counts(1, 2, 3, 4, 5, 6, 7, 8)
    failed = a_close(status=502, failure="upstream_dropped")
    stream = AnEnd(a_close(counts=counts), a_call(stream=True), grant=a_grant())
    meters.ended([AnEnd(), stream, AnEnd(failed)], AT + 84_000)
    tallies = Tallies()
    tallies.refused("invalid_api_key")
    totals = meters.totals(tallies, syncs=3, dropped={"spans": 1})
    lane = LaneStatus("con_1", "llama", 60_000, 740, 5, 2, 1)
    shared = SharedShown(alone=True, workers=4, exchanges=90, failures=3, error="gone")
    status = msgspec.structs.replace(a_status(), provisioned=(lane,), shared=shared)
    return exposition([a_file(totals)], [status], NOW)


def exposed() -> dict[str, set[str]]:
    """Sample names with the labels that any of their samples has."""
    found: dict[str, set[str]] = {}
    for line in everything().splitlines():
        if not line.startswith("#"):
            name, _, rest = line.partition("{")
            name = name.partition(" ")[0]
            found.setdefault(name, set()).update(re.findall(r"([a-z_]+)=\"", rest))
    return found


def expressions(tree: Any) -> Iterator[str]:
    """Every PromQL text of a dashboard."""
    if isinstance(tree, dict):
        for key, value in tree.items():
            if key in ("expr", "query", "definition") and isinstance(value, str):
                yield value
            else:
                yield from expressions(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from expressions(value)


def board() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana/quartermaster-gateway.json").read_text())
    return found


def test_every_family_can_have_a_sample() -> None:
    names = exposed()
    for family, (kind, _) in FAMILIES.items():
        assert (f"{family}_bucket" if kind == "histogram" else family) in names, family


def test_the_dashboard_asks_only_for_what_is_exposed_and_for_all_that_matters() -> None:
    names, asked = exposed(), set()
    for expression in expressions(board()):
        found = set(NAME.findall(expression))
        assert found <= names.keys(), expression
        asked |= {name.removesuffix("_bucket") for name in found}
        labels = set().union(*(names[name] for name in found)) | {"instance"}
        for wanted in BY.findall(expression):
            assert set(re.split(r",\s*", wanted)) <= labels, expression
        for name, inside in SELECTED.findall(expression):
            selected = set(re.findall(r"([a-z_]+)=", inside)) - {"instance"}
            assert selected <= names[name], expression
    assert FAMILIES.keys() - asked == {"quartermaster_gateway_images_total"}


def test_every_panel_has_a_place_of_its_own_and_says_what_it_shows() -> None:
    places: set[tuple[int, int]] = set()
    ids: set[int] = set()
    for panel in board()["panels"]:
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places, panel["title"]
        places |= cells
        ids.add(panel["id"])
        assert at["x"] + at["w"] <= 24
        assert panel["targets"]
    assert len(ids) == len(board()["panels"])


def test_the_alerts_ask_only_for_what_is_exposed() -> None:
    text = (DEPLOY / "prometheus/alerts.yaml").read_text()
    found = set(NAME.findall(text))
    assert len(found) > 8
    assert found <= exposed().keys()
    assert text.count("- alert: ") == text.count("expr: ") == text.count("severity: ")
