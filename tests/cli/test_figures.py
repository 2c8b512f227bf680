"""bench and doctor print figures that agree with themselves."""

import json

import pytest

from lmdm.cli.bench.engine import STRATEGIES
from lmdm.cli.main import main


def test_bench_engine_compares_the_strategies_in_one_run(tiny_model, capsys):
    command = ["bench", "engine", "--model", str(tiny_model), "--blocks", "3", "--steps", "1", "2"]
    assert main([*command, "--threads", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [(row["strategy"], row["steps"]) for row in report["rows"]] == [
        (strategy, steps) for strategy in STRATEGIES for steps in (1, 2)
    ]
    for row in report["rows"]:
        total = row["generate_ms"] + report["decode_ms"]
        assert row["real_time_factor"] == pytest.approx(total / report["block_ms"], abs=1e-3)
        assert row["speedup"] > 0
    assert [row["speedup"] for row in report["rows"][:2]] == [1.0, 1.0]
    assert sum(row["default"] for row in report["rows"]) == 1
    assert report["memory_mb"] > 0
    assert main([*command, "--threads", "1"]) == 0
    assert "<- default" in capsys.readouterr().out


def test_doctor_has_a_verdict(tiny_model, capsys):
    assert main(["doctor", "--model", str(tiny_model), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["engine"]["real_time_factor"] > 0
    assert report["verdict"].startswith("This machine")
    assert main(["doctor", "--model", str(tiny_model)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("verdict")


def test_doctor_without_a_model_says_so(capsys):
    assert main(["doctor", "--model", "nothing", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "no model" in report["verdict"]
    assert "nothing" in report["model"]["says"]
