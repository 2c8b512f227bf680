"""What is sent, what is shown, and how the musician's edits and the engine's word meet."""

from __future__ import annotations

import pytest
from PyQt6.QtCore import QObject

from lmdm.live.messages import (
    Message,
    NoteOn,
    Panic,
    SetGuidance,
    SetSteps,
    Snapshot,
    StartRecording,
)
from ui.stage import ECHOES, PATIENCE_SECONDS, Stage


class Engine(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.sent: list[Message] = []
        self.snapshot: Snapshot | None = Snapshot(guidance=1.0)
        self.stage = Stage(self.sent.append, lambda: self.snapshot, clock=lambda: self.now)

    def tick(self, seconds: float = 0.033) -> None:
        self.now += seconds
        self.stage.tick()


@pytest.fixture
def engine(qapp):
    return Engine()


def test_a_stream_of_messages_is_thinned_and_ends_with_the_last(engine):
    for tenth in range(50):
        engine.stage.send_latest(SetGuidance(tenth / 10))
    assert engine.sent == [SetGuidance(0.0)]
    engine.tick()
    assert engine.sent == [SetGuidance(0.0), SetGuidance(4.9)]


def test_order_is_kept_when_something_urgent_follows(engine):
    engine.stage.send_latest(SetGuidance(2.0))
    engine.stage.send_latest(SetGuidance(3.0))
    engine.stage.send(NoteOn(60))
    assert engine.sent == [SetGuidance(2.0), SetGuidance(3.0), NoteOn(60)]


def test_different_controls_do_not_thin_each_other(engine):
    engine.stage.send_latest(SetGuidance(2.0))
    engine.stage.send_latest(SetSteps(3))
    assert engine.sent == [SetGuidance(2.0), SetSteps(3)]


def test_an_edit_is_shown_until_the_engine_agrees(engine):
    engine.stage.send_latest(SetGuidance(3.0))
    engine.tick()
    assert engine.stage.snapshot.guidance == 3.0
    engine.snapshot = Snapshot(guidance=3.0)
    engine.tick(1.0)
    engine.snapshot = Snapshot(guidance=5.0)  # a MIDI controller moved it
    engine.tick()
    assert engine.stage.snapshot.guidance == 5.0


def test_an_edit_the_engine_refuses_is_given_up(engine):
    engine.stage.send(SetGuidance(3.0))
    engine.tick(PATIENCE_SECONDS + 0.1)
    assert engine.stage.snapshot.guidance == 1.0


def test_edits_of_one_value_leave_the_others_to_the_engine(engine):
    engine.stage.send(SetGuidance(3.0))
    engine.snapshot = Snapshot(guidance=1.0, steps=9)
    engine.tick()
    assert (engine.stage.snapshot.guidance, engine.stage.snapshot.steps) == (3.0, 9)


def test_panic_and_recording_are_shown_at_once(engine):
    engine.stage.send(Panic())
    engine.stage.send(StartRecording())
    engine.tick()
    assert engine.stage.snapshot.muted
    assert engine.stage.snapshot.recording
    engine.snapshot = Snapshot(recording="takes/1", muted=True)
    engine.tick(0.5)
    assert engine.stage.snapshot.recording == "takes/1"


def test_nothing_is_told_when_nothing_changed(engine):
    told = []
    engine.stage.changed.connect(told.append)
    engine.tick()
    engine.tick()
    engine.snapshot = None  # no newer one
    engine.tick()
    engine.snapshot = Snapshot(guidance=1.0)
    engine.tick()
    assert len(told) == 1


def test_faults_become_sentences(qapp):
    def refuse(message: Message) -> None:
        raise BrokenPipeError("the engine is gone")

    def blind() -> Snapshot:
        raise RuntimeError("torn ring")

    stage = Stage(refuse, blind)
    told: list[str] = []
    stage.problem.connect(told.append)
    stage.send(SetGuidance(3.0))
    stage.tick()
    assert told == ["the engine is gone", "The engine cannot be read: torn ring"]
    assert stage.snapshot.guidance == Snapshot().guidance


def test_every_echo_names_real_fields():
    for message_type, (source, target) in ECHOES.items():
        assert source in message_type.__dataclass_fields__
        assert target in Snapshot.__dataclass_fields__
