"""What `lmdm bench latency` plays: keys over a MIDI cable, and every other control by its message.

Each gesture is noted with the moment it was made. Gestures of one kind are in order of time, so the
n-th of a kind is the n-th of that kind in the take's log.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lmdm.live import messages as m
from lmdm.live.controls import Controls

if TYPE_CHECKING:
    from lmdm.cli.jack_server import JackServer
    from lmdm.cli.stage.performance import Performance

PITCHES = (48, 52, 55, 60, 64, 67, 72, 76)
SETTLE_SECONDS = 1.0  # after a change of lead
BEGINNING = Controls(  # steady and never silent
    prompts=(("breakbeat", 1.0),), guidance=2.5, bpm=100.0, drums=True, loudness_db=-16.0
)
BLOCK_LANE: tuple[tuple[m.Message, m.Message], ...] = (  # each there and back
    (m.SetPrompts((("solo piano", 1.0),)), m.SetPrompts((("breakbeat", 1.0),))),
    (m.SetGuidance(4.0), m.SetGuidance(2.5)),
    (m.SetChord((5, 9, 0)), m.SetChord((0, 4, 7))),
    (m.SetDrums(False), m.SetDrums(True)),
    (m.SetLoudness(-22.0), m.SetLoudness(-16.0)),
    (m.SetDensity(0.9), m.SetDensity(0.1)),
    (m.SetBrightness(0.9), m.SetBrightness(0.1)),
)
INSTANT_LANE: tuple[tuple[m.Message, m.Message], ...] = (
    (m.SetGain(-12.0), m.SetGain(0.0)),
    (m.Mute(True), m.Mute(False)),
    (m.SetWet(0.2), m.SetWet(1.0)),
)


@dataclass(frozen=True)
class Gesture:
    """One control's move, and the lead at which it was made."""

    kind: str
    sent: float  # as `time.perf_counter()` has it
    lead: float


@contextmanager
def keyboard(jack: JackServer) -> Iterator[Any]:
    """A MIDI keyboard of our own, its cable plugged into the instrument."""
    import rtmidi

    keys = rtmidi.MidiOut(rtapi=rtmidi.API_UNIX_JACK, name="lmdm bench")
    keys.open_virtual_port("keys")
    jack.connect(jack.ports("lmdm bench:")[0], jack.ports("LMDM Live:in")[0])
    time.sleep(0.3)
    try:
        yield keys
    finally:
        keys.delete()


def play_keys(keys: Any, count: int, lead: float, chance: random.Random) -> list[Gesture]:
    """Strikes keys at random moments."""
    played = []
    for _ in range(count):
        time.sleep(chance.uniform(0.3, 0.7))
        pitch = chance.choice(PITCHES)
        played.append(Gesture("note_on", time.perf_counter(), lead))
        keys.send_message([0x90, pitch, 100])
        time.sleep(chance.uniform(0.15, 0.3))
        keys.send_message([0x80, pitch, 0])
    return played


def move(
    performance: Performance,
    controls: tuple[tuple[m.Message, m.Message], ...],
    count: int,
    lead: float,
    chance: random.Random,
) -> list[Gesture]:
    """Moves one control after the other there and back, `count` times in all, at random moments."""
    heard = performance.snapshot().heard_kinds
    made = []
    for pair in controls:
        kind = m.kind_of(type(pair[0]))
        if pair[0].lane != "instant" and kind not in heard:
            continue
        for turn in range(count):
            time.sleep(chance.uniform(0.25, 0.55))
            made.append(Gesture(kind, time.perf_counter(), lead))
            performance.send(pair[turn % 2])
    return made


def set_lead(performance: Performance, lead: float) -> None:
    """Another lead, and a moment for it to fill."""
    performance.send(m.SetLead(lead))
    time.sleep(SETTLE_SECONDS)
