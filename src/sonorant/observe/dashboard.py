"""A Grafana dashboard over the metrics: its panels as a table, and the JSON that Grafana imports."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sonorant.locale import translated

WIDTH = 24
"""columns of Grafana's grid"""
HEIGHT = 8
SOURCE = {"type": "prometheus", "uid": "${datasource}"}

ONE = 'instance=~"$instance"'
MODEL = 'instance=~"$instance", model=~"$model"'


@dataclass(frozen=True, slots=True)
class Graph:
    """A panel with lines over time."""

    title: str
    unit: str
    """Grafana's name of it: s, bytes, percentunit, reqps, short"""
    lines: dict[str, str]
    """what the legend says of each → its PromQL"""


@dataclass(frozen=True, slots=True)
class Row:
    title: str
    graphs: tuple[Graph, ...]


def _quantiles(metric: str, by: str, labels: str = MODEL) -> dict[str, str]:
    """p50 and p95 of a histogram."""
    return {
        f"p{share} {{{{{by}}}}}": f"histogram_quantile(0.{share}, "
        f"sum by ({by}, le) (rate({metric}_bucket{{{labels}}}[$__rate_interval])))"
        for share in (50, 95)
    }


def _rate(metric: str, by: str, labels: str = MODEL) -> str:
    return f"sum by ({by}) (rate({metric}{{{labels}}}[$__rate_interval]))"


def _mean(metric: str, by: str) -> str:
    return f"{_rate(f'{metric}_sum', by)} / {_rate(f'{metric}_count', by)}"


def _in_an_hour(metric: str) -> str:
    return f"sum by (model) (increase({metric}{{{MODEL}}}[1h]))"


def _used(memory: str) -> str:
    return f"{memory}_used_bytes{{{ONE}}} / {memory}_limit_bytes{{{ONE}}}"


ROWS = (
    Row(
        "Requests",
        (
            Graph(
                "Requests per second",
                "reqps",
                {
                    "{{model}} {{status}}": _rate("tts_requests_total", "model, status"),
                    "{{model}} {{status}} ": _rate("asr_requests_total", "model, status"),
                },
            ),
            Graph(
                "Waiting or running",
                "short",
                {
                    "{{model}}": f"sum by (model) (tts_active_requests{{{MODEL}}})",
                    "{{model}} ": f"sum by (model) (asr_active_requests{{{MODEL}}})",
                },
            ),
            Graph(
                "HTTP answers per second",
                "reqps",
                {"{{route}} {{status}}": _rate("http_request_duration_seconds_count", "route, status", ONE)},
            ),
            Graph("Time to first audio", "s", _quantiles("tts_time_to_first_audio_seconds", "model")),
            Graph("Time to first text", "s", _quantiles("asr_time_to_first_text_seconds", "model")),
            Graph("HTTP request duration", "s", _quantiles("http_request_duration_seconds", "route", ONE)),
            Graph("Real-time factor of speech", "short", _quantiles("tts_realtime_factor", "model")),
            Graph("Real-time factor of transcription", "short", _quantiles("asr_realtime_factor", "model")),
            Graph(
                "Audio seconds per second",
                "short",
                {
                    "spoken {{model}}": _rate("tts_audio_seconds_total", "model"),
                    "heard {{model}}": _rate("asr_audio_seconds_total", "model"),
                },
            ),
        ),
    ),
    Row(
        "Stages",
        (
            Graph("Queue: waiting for a slot", "s", _quantiles("sonorant_queue_seconds", "model")),
            Graph("Run time", "s", _quantiles("sonorant_run_seconds", "model, stage")),
            Graph(
                "Runs per second",
                "short",
                {"{{model}} {{stage}} {{outcome}}": _rate("sonorant_runs_total", "model, stage, outcome")},
            ),
            Graph(
                "Batch fill: requests per run",
                "short",
                {"{{model}} {{stage}}": _mean("sonorant_batch_rows", "model, stage")},
            ),
            Graph(
                "Padding",
                "percentunit",
                {"{{model}} {{stage}}": _mean("sonorant_padding_ratio", "model, stage")},
            ),
            Graph(
                "Work that waits or runs",
                "short",
                {
                    "waits {{model}}": f"sum by (model) (sonorant_waiting{{{MODEL}}})",
                    "runs {{model}}": f"sum by (model) (sonorant_running{{{MODEL}}})",
                    "slots {{model}}": f"sum by (model) (sonorant_slots{{{MODEL}}})",
                },
            ),
            Graph(
                "Predicted wait, oldest run",
                "s",
                {
                    "wait {{model}}": f"max by (model) (sonorant_waiting_seconds{{{MODEL}}} "
                    f"/ sonorant_slots{{{MODEL}}})",
                    "oldest {{model}}": f"max by (model) (sonorant_longest_running_seconds{{{MODEL}}})",
                },
            ),
            Graph(
                "Underruns per second",
                "short",
                {
                    "{{model}}": _rate("tts_underruns_total", "model"),
                    "predicted {{model}}": _rate("sonorant_predicted_underruns_total", "model"),
                },
            ),
            Graph(
                "Steps taken for want of time or memory",
                "short",
                {"{{ladder}} {{step}}": f"max by (ladder, step) (sonorant_degraded{{{ONE}}})"},
            ),
            Graph(
                "Cache",
                "reqps",
                {
                    "{{model}} {{outcome}}": _rate("sonorant_cache_requests_total", "model, outcome"),
                    "evicted": f"sum(rate(sonorant_cache_evictions_total{{{ONE}}}[$__rate_interval]))",
                },
            ),
        ),
    ),
    Row(
        "Machine",
        (
            Graph(
                "CPU of each process",
                "percentunit",
                {"{{process}}": _rate("sonorant_cpu_seconds_total", "process", ONE)},
            ),
            Graph(
                "Memory of each process",
                "bytes",
                {
                    "{{process}}": f"sum by (process) (sonorant_resident_bytes{{{ONE}}})",
                    "cache": f"sum(sonorant_cache_bytes{{{ONE}}})",
                },
            ),
            Graph(
                "Memory in use",
                "percentunit",
                {"{{instance}}": _used("sonorant_memory")},
            ),
            Graph(
                "GPU utilisation",
                "percentunit",
                {"{{instance}} {{gpu}}": f"sonorant_gpu_utilization_ratio{{{ONE}}}"},
            ),
            Graph(
                "GPU memory",
                "percentunit",
                {"{{instance}} {{gpu}}": _used("sonorant_gpu_memory")},
            ),
            Graph(
                "Threads and open files",
                "short",
                {
                    "threads {{process}}": f"sum by (process) (sonorant_threads{{{ONE}}})",
                    "files {{process}}": f"sum by (process) (sonorant_open_files{{{ONE}}})",
                },
            ),
        ),
    ),
    Row(
        "Models",
        (
            Graph(
                "Models by state",
                "short",
                {"{{state}}": f"sum by (state) (sonorant_model_state{{{MODEL}}})"},
            ),
            Graph(
                "Load time",
                "s",
                {
                    "load {{model}}": f"max by (model) (sonorant_load_seconds{{{MODEL}}})",
                    "fetch {{model}}": f"max by (model) (sonorant_fetch_seconds{{{MODEL}}})",
                },
            ),
            Graph(
                "Restarts, fallbacks, out of memory (in an hour)",
                "short",
                {
                    "restarts {{model}}": _in_an_hour("sonorant_restarts_total"),
                    "fallbacks {{model}}": _in_an_hour("sonorant_fallbacks_total"),
                    "out of memory {{model}}": _in_an_hour("sonorant_out_of_memory_total"),
                    "killed": f"sum(increase(sonorant_out_of_memory_kills_total{{{ONE}}}[1h]))",
                },
            ),
        ),
    ),
)


def dashboard(language: str = "en") -> dict[str, Any]:
    """The dashboard with its titles in a language, as Grafana imports it."""
    return {
        "title": "Sonorant",
        "uid": "sonorant",
        "tags": ["sonorant", "speech"],
        "editable": True,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "datasource", "type": "datasource", "query": "prometheus", "label": "Prometheus"},
                _variable("instance", "label_values(sonorant_model_state, instance)"),
                _variable("model", 'label_values(sonorant_model_state{instance=~"$instance"}, model)'),
            ]
        },
        "panels": list(_panels(language)),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name,
        "type": "query",
        "datasource": SOURCE,
        "query": {"query": query, "refId": name},
        "refresh": 2,
        "includeAll": True,
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels(language: str) -> Iterator[dict[str, Any]]:
    number = top = 0
    for row in ROWS:
        number += 1
        place = {"x": 0, "y": top, "w": WIDTH, "h": 1}
        title = translated(row.title, language)
        yield {
            "id": number,
            "type": "row",
            "title": title,
            "gridPos": place,
            "collapsed": False,
            "panels": [],
        }
        top += 1
        for index, graph in enumerate(row.graphs):
            number += 1
            column, line = index % 3, index // 3
            place = {"x": column * WIDTH // 3, "y": top + line * HEIGHT, "w": WIDTH // 3, "h": HEIGHT}
            yield {"id": number, "gridPos": place, **_panel(graph, language)}
        top += HEIGHT * -(-len(row.graphs) // 3)


def _panel(graph: Graph, language: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "title": translated(graph.title, language),
        "datasource": SOURCE,
        "fieldConfig": {"defaults": {"unit": graph.unit, "min": 0}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
        "targets": [
            {
                "refId": chr(ord("A") + i),
                "datasource": SOURCE,
                "expr": expression,
                "legendFormat": legend.strip(),
            }
            for i, (legend, expression) in enumerate(graph.lines.items())
        ],
    }
