"""What the model hears: prompts, numbers, notes and macros. Block lane.

A model need not hear all of them; `Snapshot.heard` lists the kinds that the loaded one does, and a
view shows the others as what they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from lmdm.live.messages import fields
from lmdm.live.messages.fields import checked
from lmdm.live.messages.message import Message

NotesMode = Literal["auto", "follow", "free"]
NOTES_MODES: tuple[NotesMode, ...] = ("auto", "follow", "free")
BLEND_MODES = ("linear", "slerp")
SEED_MODES = ("run", "hold", "drift")
KEY_MODES = ("major", "minor")

# --- prompts ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetPrompts(Message):
    """Weighted text prompts, `((text, weight), ...)`; weights are normalised to a sum of 1.

    Waits for the boundary of `SetQuantise`, then glides over the time of `SetGlide`.
    """

    prompts: tuple[tuple[str, float], ...] = checked(fields.sequence(fields.prompt, 32))


@dataclass(frozen=True)
class SetBlend(Message):
    """Crossfade along the prompt list: 0 is the first prompt, 1 the last; None uses the weights."""

    position: float | None = checked(fields.maybe(fields.number(0.0, 1.0)))


@dataclass(frozen=True)
class SetPad(Message):
    """XY blend: a point (x, y) in the unit square, y downwards; None leaves the pad.

    One prompt lies in the middle, two at the left and right edge, four in the corners, clockwise
    from the upper left, other numbers on a ring (`lmdm.live.pad`). On a prompt it sounds alone.
    """

    position: tuple[float, float] | None = checked(
        fields.maybe(fields.pair(fields.number(0.0, 1.0), fields.number(0.0, 1.0)))
    )


@dataclass(frozen=True)
class SetBlendMode(Message):
    """How several prompts become one: `linear` mean, or `slerp`, the mean on the sphere."""

    mode: str = checked(fields.choice(BLEND_MODES))


@dataclass(frozen=True)
class SetGlide(Message):
    """Beats that a change of prompts takes; 0 is at once."""

    beats: float = checked(fields.number(0.0, 64.0))


@dataclass(frozen=True)
class SetNegativePrompt(Message):
    """What guidance leads away from; empty is nothing in particular. Needs guidance above 1."""

    text: str = checked(fields.PROMPT_TEXT)


@dataclass(frozen=True)
class SetStyle(Message):
    """Style from an audio file, beside the prompts; an empty file name is none.

    The starter has no audio style encoder: the file is heard by its features, and the prompts it
    knows that sound most alike stand for it. `Snapshot.style` says which.
    """

    file: str = checked(fields.text(4096))


@dataclass(frozen=True)
class SetStylePrompts(Message):
    """The known prompts that stand for a style file: what the engine makes of `SetStyle`."""

    engines_own: ClassVar[bool] = True
    prompts: tuple[tuple[str, float], ...] = checked(fields.sequence(fields.prompt, 32))


@dataclass(frozen=True)
class SetStyleWeight(Message):
    """Weight of the style file beside those of the prompts."""

    weight: float = checked(fields.number(0.0, 100.0))


# --- numbers ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetGuidance(Message):
    """Classifier-free guidance scale; 1 is none."""

    scale: float = checked(fields.number(0.0, 20.0))


@dataclass(frozen=True)
class SetGuidanceParallel(Message):
    """How much is kept of what guidance adds along the sound itself, which makes it louder.

    1 is plain classifier-free guidance, 0 adaptive projected guidance (APG).
    """

    share: float = checked(fields.number(0.0, 1.0))


@dataclass(frozen=True)
class SetSteps(Message):
    """Denoising steps a block; None is the model's own number."""

    steps: int | None = checked(fields.maybe(fields.whole(1, 64)))


@dataclass(frozen=True)
class SetSeed(Message):
    """Starts the noise again from a seed."""

    seed: int = checked(fields.whole(0, 2**31 - 1))


@dataclass(frozen=True)
class SetSeedMode(Message):
    """Where a block's noise comes from.

    `run`: fresh noise every block. `hold`: the same noise in the same place of every bar, so what
    the model makes of it comes back. `drift`: as `hold`, and the noise turns into another from bar
    to bar, all of it within eight.
    """

    mode: str = checked(fields.choice(SEED_MODES))


@dataclass(frozen=True)
class SetEconomy(Message):
    """How much quality the governor gives up to keep in time: 0 none (see `governor.ladder`).

    The engine sends it to itself, so that a replay gives up the same.
    """

    engines_own: ClassVar[bool] = True
    level: int = checked(fields.whole(0, 5))


# --- macros -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetDrums(Message):
    """Drums on, off (mute), or None: the model decides."""

    on: bool | None = checked(fields.maybe(fields.flag))


@dataclass(frozen=True)
class SetBassMute(Message):
    """Music without bass. A model that hears no such control gets a 150 Hz low cut instead."""

    on: bool = checked(fields.flag)


@dataclass(frozen=True)
class SetBassAndDrumsOnly(Message):
    """Only bass and drums. A model that hears no such control is asked in words."""

    on: bool = checked(fields.flag)


@dataclass(frozen=True)
class SetDensity(Message):
    """From sparse (0) to busy (1); None: the model decides. Asked in words where it must be."""

    amount: float | None = checked(fields.maybe(fields.number(0.0, 1.0)))


@dataclass(frozen=True)
class SetBrightness(Message):
    """From dark (0) to bright (1); None: the model decides. Asked in words where it must be."""

    amount: float | None = checked(fields.maybe(fields.number(0.0, 1.0)))


@dataclass(frozen=True)
class SetChord(Message):
    """Pitch classes (0 = C) of the harmony, or None: the model decides."""

    pitch_classes: tuple[int, ...] | None = checked(
        fields.maybe(fields.sequence(fields.whole(0, 11), 12))
    )


@dataclass(frozen=True)
class SetKey(Message):
    """Tonic (0 = C) and mode of the key, or None: the model decides.

    A model that hears chords but no key is given the tonic triad while no chord is set.
    """

    key: tuple[int, str] | None = checked(
        fields.maybe(fields.pair(fields.whole(0, 11), fields.choice(KEY_MODES)))
    )


@dataclass(frozen=True)
class SetLoudness(Message):
    """Loudness of the mix asked of the model, dB RMS full scale; None: -18 while there is music."""

    level_db: float | None = checked(fields.maybe(fields.number(-72.0, 0.0)))


# --- notes ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class SetNotesMode(Message):
    """When the model must follow the notes.

    `auto`: while a note sounds, and freely otherwise; `follow`: always, so no note means silence;
    `free`: never.
    """

    mode: str = checked(fields.choice(NOTES_MODES))


@dataclass(frozen=True)
class NoteOn(Message):
    """A key goes down. `pitch` is the MIDI number (60 = middle C), `velocity` 1 to 127."""

    pitch: int = checked(fields.whole(0, 127))
    velocity: int = checked(fields.whole(1, 127), default=100)


@dataclass(frozen=True)
class NoteOff(Message):
    """A key comes up."""

    pitch: int = checked(fields.whole(0, 127))


@dataclass(frozen=True)
class Sustain(Message):
    """The sustain pedal: while it is down, keys that come up keep sounding."""

    down: bool = checked(fields.flag)


@dataclass(frozen=True)
class SetPitchBend(Message):
    """Bend of the held notes in semitones. The starter's notes move by whole semitones."""

    semitones: float = checked(fields.number(-24.0, 24.0))


@dataclass(frozen=True)
class AllNotesOff(Message):
    """Every key and the pedal come up."""


# --- memory -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ResetContext(Message):
    """The model forgets what it played and starts afresh."""


@dataclass(frozen=True)
class SetRecall(Message):
    """How much of a section returns with it (long-form memory); 0 is nothing, 1 nearly all."""

    amount: float = checked(fields.number(0.0, 1.0))


@dataclass(frozen=True)
class SetSection(Message):
    """Name of the section that is played, such as A; its bars are what recall looks for first."""

    section: str = checked(fields.text(40))


@dataclass(frozen=True)
class Prime(Message):
    """The music goes on from the end of an audio file, as if it had played that."""

    file: str = checked(fields.text(4096))


@dataclass(frozen=True)
class PrimeWith(Message):
    """The music goes on from these latents: what the engine makes of `Prime`.

    `latents` is base64 of little-endian float32, [channels, frames] in C order.
    """

    engines_own: ClassVar[bool] = True
    latents: str = checked(fields.text(1 << 19))


@dataclass(frozen=True)
class PrimeFromBars(Message):
    """The model hears only the last `bars` bars it played, as if they had been the beginning."""

    bars: int = checked(fields.whole(1, 64))


@dataclass(frozen=True)
class SetFreeze(Message):
    """Loops the last `bars` bars, the model resting; None lets it go on from where it stopped."""

    bars: float | None = checked(fields.maybe(fields.number(0.25, 16.0)))


@dataclass(frozen=True)
class Resume(Message):
    """A new engine goes on where one died: from the newest latents, with noise from this seed.

    The supervisor sends it; in a take's log it marks the place, so that a replay does the same.
    """

    engines_own: ClassVar[bool] = True
    seed: int = checked(fields.whole(0, 2**31 - 1))
