"""The dials, as data: what each is called, what it does, what it sends, and what shows it.

A control is one entry here; panels, MIDI learn and tooltips take it from the table.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lmdm.live import messages as m
from lmdm.live.messages import Message, Snapshot, kind_of
from ui.dial import Dial
from ui.learn import teach
from ui.stage import Stage


@dataclass(frozen=True)
class DialControl:
    """One number: `message(value)` sets it, the snapshot's `field` shows it.

    low, high, step, usual: in the dial's own numbers, which `to_dial` and `from_dial` turn into the
    message's, where a frequency is an octave on the dial. absent: words for None, if None is
    possible.
    """

    name: str
    what: str
    message: type[Message]
    field: str
    low: float
    high: float
    step: float
    usual: float
    words: Callable[[float], str]
    absent: str = ""
    to_dial: Callable[[float], float] = float
    from_dial: Callable[[float], float] = float

    @property
    def target(self) -> str:
        """The name under which a controller is mapped to it."""
        return kind_of(self.message)


def percent(value: float) -> str:
    """0.25 to `25 %`."""
    return f"{value * 100:.0f} %"


def decibels(value: float) -> str:
    """Whole dB, with a proper minus."""
    return f"{value:.0f} dB".replace("-", "−")


def beats(value: float) -> str:
    """Beats, without needless decimals."""
    return f"{value:g}".replace("-", "−")


def octave_of(hertz: float) -> float:
    """Octaves above 20 Hz."""
    return math.log2(hertz / 20.0)


def hertz_of(octave: float) -> float:
    """Hz of an octave above 20 Hz."""
    return round(20.0 * 2.0**octave, 1)


def hertz(octave: float) -> str:
    """An octave's frequency in words."""
    value = hertz_of(octave)
    return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f} Hz"


DENSITY = DialControl(
    "Density", "From sparse to busy; or the model decides.", m.SetDensity, "density",
    0.0, 1.0, 0.01, 0.5, percent, "auto",
)  # fmt: skip
BRIGHTNESS = DialControl(
    "Brightness", "From dark to bright; or the model decides.", m.SetBrightness, "brightness",
    0.0, 1.0, 0.01, 0.5, percent, "auto",
)  # fmt: skip
LOUDNESS = DialControl(
    "Loudness", "How loud the model should play, in dB; or it decides.", m.SetLoudness,
    "loudness_db", -40.0, -6.0, 1.0, -18.0, decibels, "auto",
)  # fmt: skip
GUIDANCE = DialControl(
    "Guidance", "How strictly prompts and notes are obeyed. 1 is free; high is strict, then harsh.",
    m.SetGuidance, "guidance", 1.0, 6.0, 0.1, 2.5, lambda value: f"{value:.1f}",
)  # fmt: skip
STEPS = DialControl(
    "Steps", "How often each piece of music is refined. More sounds cleaner and needs more time.",
    m.SetSteps, "steps", 1.0, 16.0, 1.0, 4.0, lambda value: f"{value:.0f}",
    from_dial=round,
)  # fmt: skip
RECALL = DialControl(
    "Recall", "How much of a section comes back when it returns: none of it, or nearly all.",
    m.SetRecall, "recall", 0.0, 1.0, 0.01, 0.0, percent,
)  # fmt: skip
LOW_PASS = DialControl(
    "Low-pass", "Takes away what lies above a frequency.", m.SetLowPass, "low_pass",
    0.0, octave_of(20000.0), 0.05, octave_of(20000.0), hertz, "off", octave_of, hertz_of,
)  # fmt: skip
HIGH_PASS = DialControl(
    "High-pass", "Takes away what lies below a frequency.", m.SetHighPass, "high_pass",
    0.0, octave_of(20000.0), 0.05, 0.0, hertz, "off", octave_of, hertz_of,
)  # fmt: skip
DELAY = DialControl(
    "Delay", "Beats until the model answers with what you played.", m.SetDelay, "delay_beats",
    0.25, 32.0, 0.25, 4.0, beats,
)  # fmt: skip
FEEDBACK = DialControl(
    "Feedback", "How much of the answer goes into the delay again; a guard keeps it bounded.",
    m.SetFeedback, "feedback", 0.0, 0.95, 0.01, 0.0, percent,
)  # fmt: skip
FUTURE = DialControl(
    "Look-ahead", "Beats of your playing the model may hear before it answers. Above 0 it waits.",
    m.SetFutureVisibility, "future_visibility", -8.0, 8.0, 0.25, 0.0, beats,
)  # fmt: skip
TRANSFORM = DialControl(
    "Transform", "How much of the delayed input the model makes anew; 0 keeps it as it was.",
    m.SetTransform, "transform", 0.0, 1.0, 0.01, 0.7, percent,
)  # fmt: skip
INPUT_GAIN = DialControl(
    "Input", "Gain of the live input, in dB.", m.SetInputGain, "input_gain_db",
    -40.0, 24.0, 0.5, 0.0, decibels,
)  # fmt: skip
DRY = DialControl(
    "Dry", "How much of the live input itself you hear.", m.SetDry, "dry",
    0.0, 1.0, 0.01, 0.0, percent,
)  # fmt: skip
WET = DialControl(
    "Wet", "How much of the model's sound you hear.", m.SetWet, "wet",
    0.0, 1.0, 0.01, 1.0, percent,
)  # fmt: skip

DIALS = (
    DENSITY, BRIGHTNESS, LOUDNESS, GUIDANCE, STEPS, RECALL, LOW_PASS, HIGH_PASS, DELAY, FEEDBACK,
    FUTURE, TRANSFORM, INPUT_GAIN, DRY, WET,
)  # fmt: skip


def dial_for(stage: Stage, control: DialControl) -> Dial:
    """A dial that sends and shows one control."""
    dial = Dial(
        control.name,
        control.what,
        control.message.lane,
        control.low,
        control.high,
        control.step,
        control.usual,
        control.words,
        control.absent,
    )

    def send(value: float | None) -> None:
        converted = None if value is None else control.from_dial(value)
        stage.send_latest(control.message(converted))  # type: ignore[call-arg]

    def show(snapshot: Snapshot) -> None:
        value: Any = getattr(snapshot, control.field)
        dial.show_value(None if value is None else control.to_dial(value))

    dial.moved.connect(send)
    stage.changed.connect(show)
    teach(dial, control.target, control.name, to_view=control.to_dial)
    return dial
