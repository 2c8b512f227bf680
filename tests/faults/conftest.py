"""A performance on a JACK server of its own, whose engine can be told to fail, and a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lmdm.cli.stage.performance import Performance, PerformanceSettings
from lmdm.live.controls import Controls
from tests import engine_drill
from tests.audio_io.jack import JackServer, running
from tests.faults.listening import until

Row = dict[str, object]
TABLE: list[Row] = []


@pytest.fixture(scope="module")
def jack() -> Iterator[JackServer]:
    yield from running()


@pytest.fixture(scope="module")
def drill(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder whose files make the engine fail (see `tests.engine_drill`)."""
    folder = tmp_path_factory.mktemp("drill")
    engine_drill.install(folder)
    yield folder
    engine_drill.uninstall()


@pytest.fixture(scope="module")
def performance(
    jack: JackServer, drill: Path, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Performance]:
    """Plays all through the module's tests."""
    playing = Performance(
        PerformanceSettings(
            str(tiny_model),
            Controls(prompts=(("felt piano", 1.0),)),
            threads=1,
            audio_device="system",
            home=tmp_path_factory.mktemp("home"),
        )
    )
    playing.open()
    playing.wait_playing()
    yield playing
    playing.close()


@pytest.fixture
def ready(performance: Performance) -> Performance:
    """The performance, once a second engine stands by."""
    until(performance.supervisor.standby_ready, "a standby", patience=180.0)
    until(lambda: performance.snapshot().status == "playing", "playing")
    return performance


@pytest.fixture
def note(request: pytest.FixtureRequest) -> Callable[..., None]:
    """Adds a row to the table of faults: what was measured."""

    def add(**figures: object) -> None:
        TABLE.append({"test": request.node.name, **figures})

    return add


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of what was measured, also as a file if `--figures FILE` is given."""
    for row in TABLE:
        terminalreporter.write_line("  ".join(f"{name}={value}" for name, value in row.items()))
    path = terminalreporter.config.getoption("--figures")
    if TABLE and path:
        Path(path).write_text(json.dumps(TABLE, indent=1, ensure_ascii=False) + "\n")
