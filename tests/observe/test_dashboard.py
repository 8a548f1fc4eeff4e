"""The Grafana dashboard: valid PromQL over metrics that are exported, and JSON of Grafana's own shape."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from promql_parser import parse

from sonorant.observe.dashboard import ROWS, WIDTH, dashboard

GRAPHS = [graph for row in ROWS for graph in row.graphs]


@pytest.mark.parametrize("graph", GRAPHS, ids=lambda graph: graph.title)
def test_expressions_are_promql_over_exported_metrics(graph, exported):
    for expression in graph.lines.values():
        assert parse(expression.replace("$__rate_interval", "5m"))
        for name in re.findall(r"\b(?:tts|asr|sonorant|http)_[a-z_]+", expression):
            assert name in exported or re.sub("_(bucket|count|sum)$", "", name) in exported, name
        grouping = re.search(r"by \((.*?)\)", expression)
        by = grouping[1].replace(", le", "") if grouping else ""
        legend = " ".join(
            re.findall(r"{{(\w+)}}", next(k for k, v in graph.lines.items() if v == expression))
        )
        assert not by or set(by.split(", ")) >= set(legend.split())


def test_every_metric_is_shown(exported):
    shown = " ".join(expression for graph in GRAPHS for expression in graph.lines.values())
    assert {name for name in exported if name not in shown} == set()


def test_panels_do_not_overlap_and_have_ids_of_their_own():
    cells, panels = set(), dashboard()["panels"]
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= WIDTH
        for x in range(place["x"], place["x"] + place["w"]):
            for y in range(place["y"], place["y"] + place["h"]):
                assert (x, y) not in cells
                cells.add((x, y))
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_titles_are_there_in_chinese():
    for panel, english in zip(dashboard("zh")["panels"], dashboard()["panels"], strict=True):
        assert panel["title"] != english["title"]
        assert panel["gridPos"] == english["gridPos"]


PROGRAM = """
import type { Dashboard, Panel, RowPanel, VariableModel } from '@grafana/schema';
const dashboard: Dashboard = %s;
export default dashboard;
"""


@pytest.mark.heavy
def test_the_json_is_of_grafana_s_own_types():
    """TypeScript checks it against the types that Grafana publishes; an unknown field is an error there."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sonorant/test-data/grafana"
    if not (cache / "node_modules/@grafana/schema").is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        packages = ("@grafana/schema@13.2.3", "typescript@5.9.3")
        install = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
        subprocess.run(install, cwd=cache, check=True, timeout=300)
    (cache / "dashboard.ts").write_text(PROGRAM % json.dumps(dashboard()))
    check = ["npx", "--no-install", "tsc", "--noEmit", "--strict", "--skipLibCheck", "--target", "es2022",
             "--moduleResolution", "bundler", "--module", "esnext", "dashboard.ts"]  # fmt: skip
    done = subprocess.run(check, cwd=cache, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout
