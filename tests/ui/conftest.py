"""The panel over a pretended engine, without a display."""

from __future__ import annotations

import os

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from PyQt6.QtWidgets import QApplication

from lmdm.live.messages import Message, Snapshot
from ui import theme
from ui.main_window import MainWindow
from ui.stage import Stage

PROMPTS = (("felt piano", 1.0), ("strings", 0.5))


@dataclass
class Panel:
    """A window, what it sent, what it is shown, and the time it believes it is."""

    now: float = 0.0
    sent: list[Message] = field(default_factory=list)
    snapshot: Snapshot | None = None
    fault: Exception | None = None
    window: MainWindow = None  # type: ignore[assignment]
    stage: Stage = None  # type: ignore[assignment]

    def control(self, message: Message) -> None:
        if self.fault is not None:
            raise self.fault
        self.sent.append(message)

    def show(self, **values: Any) -> None:
        """The engine reports these values; earlier edits are long past."""
        self.snapshot = replace(self.snapshot or Snapshot(status="playing"), **values)
        self.tick(seconds=5.0)

    def tick(self, seconds: float = 0.033) -> None:
        self.now += seconds
        self.stage.tick()

    def took(self) -> list[Message]:
        """What was sent since the last call."""
        self.tick()
        sent, self.sent = self.sent, []
        return sent


@pytest.fixture(scope="session")
def dressed(qapp):
    """The application in its style; once, as each time dresses every widget anew."""
    assert isinstance(qapp, QApplication)
    theme.apply(qapp)
    return qapp


@pytest.fixture
def panel(qtbot, dressed):
    made = Panel()
    made.stage = Stage(made.control, lambda: made.snapshot, clock=lambda: made.now)
    made.window = MainWindow(made.stage, clock=lambda: made.now)
    qtbot.addWidget(made.window)
    made.window.show()
    made.show(status="playing", prompts=PROMPTS, heard=44100)
    made.window.keys.setFocus()
    yield made
    made.window.close()
