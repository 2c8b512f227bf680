"""What the model is told of a block: text tokens and local features, from the session's state."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from lmdm.conditioning.accompaniment import AccompanimentFrames
from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.chord import chroma
from lmdm.conditioning.loudness import level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.conditioning.text import blend
from lmdm.live import messages as m
from lmdm.live import style
from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.glide import Weighted

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

NOISES = 100_000  # more than there are blocks in a bar
ANSWER_DB = -20.0  # RMS asked for while no loudness is set
DRIFT_BARS = 8  # in seed mode "drift" the noise is another after so many

# message kind -> the local control by which a model hears it; "" is text
HEARD_BY: dict[type[m.Message], str] = {
    m.SetPrompts: "", m.SetBlend: "", m.SetPad: "", m.SetBlendMode: "", m.SetGlide: "",
    m.SetNegativePrompt: "", m.SetStyle: "", m.SetStyleWeight: "",
    m.SetDensity: "density", m.SetBrightness: "brightness", m.SetBassMute: "bass",
    m.SetDrums: "drums", m.SetChord: "chord", m.SetKey: "chord", m.SetLoudness: "loudness",
    m.SetNotesMode: "notes", m.NoteOn: "notes", m.NoteOff: "notes", m.Sustain: "notes",
    m.AllNotesOff: "notes", m.SetPitchBend: "notes",
    m.SetTempo: "beat", m.SetBeat: "beat", m.SetClock: "beat", m.SetMeter: "beat",
}  # fmt: skip
HEARD_BY_ALL: tuple[type[m.Message], ...] = (
    m.SetGuidance, m.SetGuidanceParallel, m.SetSteps, m.SetSeed, m.SetSeedMode, m.ResetContext,
    m.SetRecall, m.Prime, m.PrimeFromBars, m.SetFreeze, m.UndoBars, m.SetJamMode, m.SetDelay,
    m.SetTransform, m.SetFutureVisibility,
)  # fmt: skip


def heard_kinds(model: Model) -> tuple[str, ...]:
    """Kinds of the messages that this model hears, in order of the alphabet."""
    local = model.conditioning.names if model.conditioning is not None else ()
    text = model.text_encoder is not None
    kinds = {m.kind_of(each) for each in HEARD_BY_ALL}
    for each, control in HEARD_BY.items():
        if control in local or (control == "" and text):
            kinds.add(m.kind_of(each))
    if not (model.folder / style.FILE_NAME).is_file():
        kinds -= {m.kind_of(m.SetStyle), m.kind_of(m.SetStyleWeight)}
    return tuple(sorted(kinds))


def noise_number(
    mode: str, block: int, clock: MusicalClock, position: int, block_samples: int
) -> tuple[int, tuple[int, float]]:
    """Which noise a block at a stream position gets (see `SetSeedMode`).

    Returns its number, and that of the noise it is turned towards with the share of the way: from
    bar to bar, in drift, an eighth.
    """
    if mode == "run":
        return block, (0, 0.0)
    bar, beat = divmod(clock.beat(position), clock.beats_per_bar)
    samples = clock.beats_per_bar * 60.0 * SAMPLE_RATE / clock.bpm(position)
    blocks = max(1, round(samples / block_samples))
    turn, bars = divmod(int(bar), DRIFT_BARS) if mode == "drift" else (0, 0)
    number = (turn + 1) * NOISES + round(beat / clock.beats_per_bar * blocks) % blocks
    return number, (number + NOISES, bars / DRIFT_BARS)


def asked_db(controls: Controls, notes: NoteFrames | None) -> float | None:
    """dB RMS asked of a block; None where silence is.

    notes: of the block; None where the model is free.
    """
    if controls.loudness_db is not None:
        return controls.loudness_db
    return ANSWER_DB if notes is None or notes.sounding.any() else None


class Hearing:
    """Text tokens and local features for one model; keeps the tokens of the last prompts."""

    def __init__(self, model: Model, tensor: Callable[[np.ndarray], Tensor]) -> None:
        self._model = model
        self._tensor = tensor
        self._keys: dict[str, tuple[Weighted, str]] = {}
        self._tokens: dict[str, Tensor | None] = {}

    def text(self, weighted: Weighted, mode: str) -> Tensor | None:
        """[N, D] tokens of weighted prompts; the same tensor until they change."""
        return self._encoded("prompt", weighted, mode)

    def negative(self, text: str) -> Tensor | None:
        """[N, D] tokens of the negative prompt; None if it is empty."""
        return self._encoded("negative", ((text, 1.0),) if text.strip() else (), "linear")

    def _encoded(self, place: str, weighted: Weighted, mode: str) -> Tensor | None:
        if self._keys.get(place) != (weighted, mode):
            encoder = self._model.text_encoder
            self._keys[place], self._tokens[place] = (weighted, mode), None
            if weighted and encoder is not None:
                tokens = [encoder.encode(text) for text, _ in weighted]
                weights = [weight for _, weight in weighted]
                how = "slerp" if mode == "slerp" else "linear"
                self._tokens[place] = self._tensor(blend(tokens, weights, how))  # type: ignore[arg-type]
        return self._tokens[place]

    def local(
        self,
        controls: Controls,
        notes: NoteFrames | None,
        clock: MusicalClock,
        centres: list[float],
        level_db: float | None,
        accompaniment: AccompanimentFrames | None = None,
    ) -> Tensor | None:
        """[L, o] features of the local controls over a block; None if the model hears none.

        notes: None where the model is free. centres: sample positions of the frames' middles.
        level_db: RMS, None where none is told.
        """
        conditioning = self._model.conditioning
        if conditioning is None:
            return None
        harmony = controls.triad()
        values = {
            "notes": None if notes is None else _bent(notes, controls.pitch_bend),
            "beat": _beat_frames(clock, centres),
            "chord": None if harmony is None else chroma(harmony),
            "loudness": None if level_db is None else level_of_db(level_db),
            "drums": True if controls.bass_and_drums_only else controls.drums,
            "bass": True if controls.bass_and_drums_only else False if controls.bass_mute else None,
            "density": controls.density,
            "brightness": controls.brightness,
            "accompaniment": accompaniment,
        }
        heard = {name: value for name, value in values.items() if name in conditioning.slices}
        return self._tensor(conditioning.features(heard, len(centres)))


def _beat_frames(clock: MusicalClock, centres: list[float]) -> BeatFrames:
    bpm = np.array([clock.bpm(centre) for centre in centres])
    return BeatFrames.from_positions(np.array(clock.beats(centres)), bpm, clock.beats_per_bar)


def _bent(notes: NoteFrames, semitones: float) -> NoteFrames:
    """The notes moved by whole semitones; what leaves the keyboard is not heard."""
    steps = round(semitones)
    if steps == 0:
        return notes
    moved = [np.roll(grid, steps, axis=0) for grid in (notes.onset, notes.sounding)]
    for grid in moved:
        grid[slice(0, steps) if steps > 0 else slice(steps, None)] = 0.0
    return NoteFrames(*moved)
