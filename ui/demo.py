"""A pretended session, to look at the panel without an engine: `python -m ui.demo`."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lmdm.live.messages import (
    ControllerMapping,
    Job,
    Landed,
    Latency,
    Message,
    ModelOffer,
    NoteOff,
    NoteOn,
    Preset,
    RecallScene,
    Snapshot,
    TakeSummary,
    Waiting,
    kind_of,
)
from ui.stage import ECHOES

SAMPLE_RATE = 44100
LEAD_MS = 1900.0
COMMIT_MS = 260.0
CHORDS = ((48, 55, 60, 64), (45, 52, 60, 64), (41, 53, 57, 60), (43, 50, 59, 62))
MAPPINGS = (
    ControllerMapping("cc:1:74", "set_guidance", hand=0.71, holds=False),
    ControllerMapping("cc:1:21", "set_density", hand=0.62, holds=True),
    ControllerMapping("cc:1:22", "set_brightness", takeover="scale", hand=0.2, holds=True),
    ControllerMapping("cc:*:7", "set_gain", takeover="jump", hand=0.8, holds=True),
    ControllerMapping("note:10:36", "recall_scene:Rain", encoding="trigger", takeover="jump"),
    ControllerMapping("cc:1:23", "set_prompts:2", hand=0.4),
)
MODELS = (
    ModelOffer("starter", "12 M parameters, in the box", "Plays with room to spare: 41 %.", True),
    ModelOffer("stable-audio-open-small", "341 M parameters", "Too slow here: 480 %.", False),
)
PRESETS = (
    Preset("Evening set", ("Dawn", "Walk", "Rain", "Home"), "felt piano, strings, brushes"),
    Preset("First steps", ("Piano", "Strings", "Drums"), "piano, strings, drum kit", own=False),
)
TAKES = (
    TakeSummary("takes/dusk", "dusk", 754.0, "2026-11-24T21:05:00", "starter", ("felt piano",)),
    TakeSummary("takes/rain", "rain", 182.0, "2026-11-23T19:40:00", "starter",
                ("slow strings", "glass bells"), "takes/rain/render-16.wav"),
)  # fmt: skip


class Demo:
    """Snapshots and sound such as an engine would give; settings are taken over at once.

    Threads: one. `seconds` is the demo's own time, so that a picture of it can be made exactly.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._start = clock()
        self._given = 0  # samples of sound
        self._landed: tuple[Landed, ...] = ()
        self._scene = ("", 0.0)  # the one that waits, and the beat it lands on
        self._random = np.random.default_rng(1)
        self.snapshot = Snapshot(
            status="playing",
            model="starter",
            real_time_factor=0.41,
            block_ms=185.8,
            lead_ms=LEAD_MS,
            device_ms=24.0,
            heard_kinds=(
                "set_prompts",
                "set_guidance",
                "set_drums",
                "set_loudness",
                "set_chord",
                "note_on",
            ),
            scenes=("Dawn", "Walk", "Rain", "Home"),
            scene="Walk",
            quantise="bar",
            undoable=True,
            undoable_bars=12,
            remembered=24,
            disk_seconds=41 * 3600.0,
            outputs=("Built-in Audio Analog Stereo", "Scarlett 2i2 USB", "HDMI 1"),
            inputs=("Built-in Audio Analog Stereo", "Scarlett 2i2 USB"),
            device_rate=48000,
            buffer_ms=90.0,
            lead_target_ms=LEAD_MS,
            horizon_ms=COMMIT_MS,
            midi_inputs=("Launchkey 37", "Digitone", "IAC Bus 1"),
            midi_outputs=("Launchkey 37", "Digitone"),
            last_controller="cc:1:74 = 93",
            mappings=MAPPINGS,
            models=MODELS,
            presets=PRESETS,
            takes=TAKES,
            jobs=(Job("render takes/dusk", "Rendering dusk with 16 steps", 0.43),),
            density=0.62,
            control_latency={"set_guidance": Latency(296, 371, 9)},
            latency={"instant": Latency(14, 21, 12), "block": Latency(312, 397, 64)},
            level_db=(-17.0, -18.5),
            peak_db=(-6.1, -7.4),
            prompts=(
                ("felt piano, close and warm", 0.42),
                ("slow analogue strings", 0.28),
                ("brushed drums", 0.18),
                ("glass bells, far away", 0.12),
            ),
            guidance=2.4,
            bpm=96.0,
            held=(48, 55, 60, 64),
            seed=41,
            device="Built-in Audio Analog Stereo",
            midi="Launchkey 37",
        )

    @property
    def seconds(self) -> float:
        """Since the demo began."""
        return self._clock() - self._start

    @property
    def _beat(self) -> float:
        return self.seconds * self.snapshot.bpm / 60

    def take_control(self, message: Message) -> None:
        """Takes a message over into the snapshot."""
        at = round(self.seconds * SAMPLE_RATE + COMMIT_MS * SAMPLE_RATE / 1000)
        if type(message) in ECHOES:
            value = getattr(message, ECHOES[type(message)][0])
            words = f"{ECHOES[type(message)][1]} {value:.2g}" if isinstance(value, float) else ""
            self._landed = (*self._landed[-15:], Landed(kind_of(type(message)), words, at, 290.0))
        if isinstance(message, RecallScene):
            self._scene = (message.name, (self._beat // 4 + 1) * 4)
        elif isinstance(message, NoteOn):
            held = (*self.snapshot.held, message.pitch)
            self.snapshot = replace(self.snapshot, held=held)
        elif isinstance(message, NoteOff):
            held = tuple(pitch for pitch in self.snapshot.held if pitch != message.pitch)
            self.snapshot = replace(self.snapshot, held=held)
        elif type(message) in ECHOES:
            source, target = ECHOES[type(message)]
            self.snapshot = replace(self.snapshot, **{target: getattr(message, source)})

    def look(self) -> Snapshot:
        """The snapshot of now."""
        heard = round(self.seconds * SAMPLE_RATE)
        beat = self._beat
        name, landing = self._scene
        if name and beat >= landing:
            self.snapshot = replace(self.snapshot, scene=name)
            self._scene, name = ("", 0.0), ""
        wobble = 2.5 * np.sin(2 * np.pi * beat)
        return replace(
            self.snapshot,
            heard=heard,
            samples=heard + round(LEAD_MS * SAMPLE_RATE / 1000),
            committed=heard + round(COMMIT_MS * SAMPLE_RATE / 1000),
            landed=self._landed,
            waiting=(Waiting("recall_scene", name, "bar", landing - beat),) if name else (),
            heard_beat=beat,
            beat=beat + LEAD_MS / 1000 * self.snapshot.bpm / 60,
            level_db=(-15.0 - wobble, -16.5 - wobble),
            peak_db=(-6.0 - wobble, -7.5 - wobble),
            limiter_db=min(0.0, -1.5 + wobble),
        )

    def listen(self) -> np.ndarray:
        """The sound since the last call [samples, 2]: broken chords and a soft pulse."""
        end = round(self.seconds * SAMPLE_RATE)
        time_axis = np.arange(self._given, end) / SAMPLE_RATE
        self._given = end
        beat = time_axis * self.snapshot.bpm / 60
        sound = np.zeros(len(beat))
        for index in range(4):
            chord = np.array([notes[index] for notes in CHORDS])[(beat // 4).astype(int) % 4]
            hertz = 440.0 * 2.0 ** ((chord - 69 + 12 * (index % 2)) / 12)
            pluck = np.exp(-2.2 * ((beat * 2 - index) % 4) / 2)
            for harmonic in range(1, 7):
                tone = np.sin(2 * np.pi * hertz * harmonic * time_axis)
                sound += 0.26 * pluck * tone / harmonic**1.6
        brush = np.exp(-14 * ((beat + 1) % 2)) * self._random.standard_normal(len(beat))
        sound += 0.2 * brush
        return np.stack([sound, sound], axis=1).astype(np.float32)


def main() -> int:
    """Shows the panel over a pretended session."""
    from ui import app

    demo = Demo()
    return app.run(demo.take_control, demo.look, sound=demo.listen)


if __name__ == "__main__":
    raise SystemExit(main())
