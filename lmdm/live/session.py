"""A session: controls in, blocks of sound out. The same code plays live, renders and replays.

A session reads no clock and touches no device. Time is its own count of samples: sample n of its
sound is sample n of the musical clock and of every control's position. Equal controls at equal
positions give equal samples, byte for byte, on the same machine and thread count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmdm.codec.streaming import StreamingDecoder
from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.chord import chroma
from lmdm.conditioning.loudness import level_of_db
from lmdm.conditioning.notes import NoteFrames
from lmdm.conditioning.text import blend
from lmdm.live.clock import MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.messages import (
    Message,
    ResetContext,
    Resume,
    SetBeat,
    SetSeed,
    SetTempo,
)
from lmdm.live.notes import HeldNotes
from lmdm.live.take import Applied
from lmdm.stream.block_stream import BlockConditions, BlockStream, StreamSnapshot

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

NOTE_MEMORY_BEATS = 4.0  # in mode "auto" the notes are given for this long after the last sounded


class UnsoundError(RuntimeError):
    """The model gave what is no sound (not finite), twice in a row."""


@dataclass(frozen=True)
class Block:
    """One generated block.

    pcm: [n, 2] float32; the codec's fixed delay makes it lag the latents, so `start` (the stream
    position of the first of these samples) is not a multiple of the block's length.
    latents: [C, o] float32.
    """

    pcm: np.ndarray
    latents: np.ndarray
    start: int
    applied: tuple[Applied, ...]  # controls that took effect in this block, in order
    remarks: tuple[str, ...] = ()  # what went wrong and was mended


@dataclass(frozen=True)
class SessionSnapshot:
    """A session's whole state between two blocks; cheap to hold, exact to restore."""

    stream: StreamSnapshot
    decoder: Any  # what the decoder's snapshot() gave
    state: Mapping[str, Any]
    recent: tuple[Tensor, ...]
    pending: tuple[Applied, ...]


class Session:
    """Folds control messages into what the model is told, block by block.

    Threads: none; one owner calls it.
    """

    def __init__(self, model: Model, controls: Controls) -> None:
        self._model = model
        self._config = model.stream_config
        self._stream = BlockStream(model.dit, self._config, controls.seed)
        self._decoder = StreamingDecoder(model.codec)
        self.controls = controls
        self.clock = MusicalClock.at_tempo(controls.bpm)
        self.notes = HeldNotes()
        self.blocks = 0  # generated so far
        self.emitted = 0  # samples given out so far: the stream position of the next
        self._last_note_beat = -1e9
        self._surplus = 0  # samples of the decoder's next sound that are not ours
        self._recent: deque[Tensor] = deque(maxlen=-(-self.context_frames // self.block_frames))
        self._pending: list[Applied] = []
        self._text_key: tuple[tuple[str, float], ...] | None = None
        self._text: Tensor | None = None

    # --- sizes ----------------------------------------------------------------------------------

    @property
    def sample_rate(self) -> int:
        """Samples a second."""
        return int(self._model.codec.sample_rate)

    @property
    def frame_samples(self) -> int:
        """Samples a latent frame."""
        return int(self._model.codec.frame_samples)

    @property
    def latent_channels(self) -> int:
        """Channels of a latent frame."""
        return int(self._model.codec.latent_channels)

    @property
    def block_frames(self) -> int:
        """Latent frames a block."""
        return int(self._config.block_frames)

    @property
    def context_frames(self) -> int:
        """Latent frames the model hears of what it played."""
        return int(self._config.context_frames)

    @property
    def model_steps(self) -> int:
        """Denoising steps a block where the musician asks for no number."""
        return int(self._config.steps)

    @property
    def block_samples(self) -> int:
        """Samples a block."""
        return self.block_frames * self.frame_samples

    @property
    def position(self) -> int:
        """Stream position, in samples, at which the next block's latents begin."""
        return self.blocks * self.block_samples

    # --- controls -------------------------------------------------------------------------------

    def apply(self, message: Message, sample: int | None = None) -> None:
        """Puts a control where it is to take effect: in the block that contains `sample`.

        None, or a position already generated, means the start of the next block. Notes begin in
        the latent frame that contains `sample`; tempo and beat act from the sample itself; all else
        acts from the start of its block. Instant-lane messages mean nothing here except `Panic`,
        which lifts the notes.
        """
        at = self.position if sample is None else max(sample, self.position)
        self._pending.append(Applied(at, message))

    def _due(self) -> list[Applied]:
        """Takes the controls of the next block out of the queue, in order of position.

        Of several controls of one kind that only set a value at the same place, the last counts.
        """
        end = self.position + self.block_samples
        due = sorted((each for each in self._pending if each.sample < end), key=_position)
        self._pending = [each for each in self._pending if each.sample >= end]
        placed = [self._placed(each) for each in due]
        last = {(each.sample, type(each.message)): index for index, each in enumerate(placed)}
        return [
            each
            for index, each in enumerate(placed)
            if not type(each.message).__name__.startswith("Set")
            or last[each.sample, type(each.message)] == index
        ]

    def _placed(self, each: Applied) -> Applied:
        """The control at the position where it will act."""
        if isinstance(each.message, (SetTempo, SetBeat)):
            return each
        if HeldNotes.hears(each.message):
            return replace(each, sample=each.sample - each.sample % self.frame_samples)
        return replace(each, sample=self.position)

    # --- generation -----------------------------------------------------------------------------

    @torch.inference_mode()
    def next_block(self) -> Block:
        """Generates the next block.

        Raises:
            UnsoundError: the model's latents or the decoder's sound are not finite even after the
                context was dropped.
        """
        applied = self._due()
        note_events: list[tuple[int, Message]] = []
        for each in applied:
            self._turn(each)
            if HeldNotes.hears(each.message):
                frame = (each.sample - self.position) // self.frame_samples
                note_events.append((frame, each.message))
        latents, audio, remarks = self._generate(self._conditions(note_events))
        self._recent.append(latents)
        pcm = np.ascontiguousarray(audio[:, self._surplus :].T.float().cpu().numpy())
        self._surplus = 0
        block = Block(pcm, latents.float().cpu().numpy(), self.emitted, tuple(applied), remarks)
        self.blocks += 1
        self.emitted += len(pcm)
        self.clock = self.clock.since(self.position)
        return block

    def _generate(self, conditions: BlockConditions) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """Latents [C, o], sound [2, n], remarks; what is not finite is made again from nothing."""
        before = self._decoder.snapshot()
        steps = self.controls.steps
        latents = self._stream.next_block(conditions, steps=steps)
        audio = self._decoder.decode(latents)
        if _finite(latents, audio):
            return latents, audio, ()
        self._stream.reset()
        self._decoder.restore(before)
        latents = self._stream.next_block(conditions, steps=steps)
        audio = self._decoder.decode(latents)
        if not _finite(latents, audio):
            raise UnsoundError(f"block {self.blocks} is not finite, with and without its context")
        return latents, audio, (f"block {self.blocks} was not finite: the context was dropped",)

    def _turn(self, each: Applied) -> None:
        """Lets one control act on the session's state (notes act later, by frame)."""
        message = each.message
        self.controls = self.controls.after(message)
        if isinstance(message, SetTempo):
            self.clock = self.clock.with_tempo(message.bpm, each.sample)
        elif isinstance(message, SetBeat):
            self.clock = self.clock.with_beat(message.beat, each.sample)
        elif isinstance(message, SetSeed):
            self._stream.reseed(message.seed)
        elif isinstance(message, ResetContext):
            self._stream.reset()
        elif isinstance(message, Resume):
            self._start_again(message.seed)

    def _conditions(self, note_events: list[tuple[int, Message]]) -> BlockConditions:
        return BlockConditions(
            text_tokens=self._text_tokens(),
            local=self._local(note_events),
            guidance=self.controls.guidance,
        )

    def _local(self, note_events: list[tuple[int, Message]]) -> Tensor | None:
        """[L, o] features of the local controls over the block; None if the model hears none."""
        conditioning = self._model.conditioning
        frames = self.block_frames
        notes = self.notes.block(note_events, frames)
        if conditioning is None:
            return None
        values = {
            "notes": notes if self._notes_given(notes) else None,
            "beat": self._beat_frames(),
            "chord": None if self.controls.chord is None else chroma(self.controls.chord),
            "loudness": _level(self.controls.loudness_db),
            "drums": self.controls.drums,
        }
        heard = {name: value for name, value in values.items() if name in conditioning.slices}
        return self._tensor(conditioning.features(heard, frames))

    def _notes_given(self, notes: NoteFrames) -> bool:
        """Whether the model must follow the notes of this block (see `SetNotesMode`)."""
        if notes.sounding.any():
            self._last_note_beat = self.clock.beat(self.position + self.block_samples)
        since = self.clock.beat(self.position) - self._last_note_beat
        mode = self.controls.notes_mode
        return mode == "follow" or (mode == "auto" and since < NOTE_MEMORY_BEATS)

    def _beat_frames(self) -> BeatFrames:
        centres = [
            self.position + (frame + 0.5) * self.frame_samples for frame in range(self.block_frames)
        ]
        beats = np.array(self.clock.beats(centres))
        bpm = np.array([self.clock.bpm(centre) for centre in centres])
        return BeatFrames.from_positions(beats, bpm, self.clock.beats_per_bar)

    def _text_tokens(self) -> Tensor | None:
        """[N, D] tokens of the weighted prompts; the same tensor until they change."""
        weighted = self.controls.weighted_prompts()
        if weighted != self._text_key:
            encoder = self._model.text_encoder
            self._text_key, self._text = weighted, None
            if weighted and encoder is not None:
                tokens = [encoder.encode(text) for text, _ in weighted]
                self._text = self._tensor(blend(tokens, [weight for _, weight in weighted]))
        return self._text

    def _tensor(self, values: np.ndarray) -> Tensor:
        return torch.from_numpy(np.array(values)).to(self._stream.device, self._stream.dtype)

    # --- beginning from other sound -------------------------------------------------------------

    @torch.inference_mode()
    def prime(self, latents: Tensor) -> None:
        """Lets the music go on from `latents` [C, n], which are not given out.

        For a session that has generated nothing yet.
        """
        self._stream.prime(latents, None)
        self._decoder.decode(latents)
        self._surplus = self._decoder.delay_samples

    def resume(self, state: Mapping[str, Any], recent: np.ndarray) -> None:
        """Takes over from a session that died: its last `state()` and its newest latents [C, n]."""
        self._set_state(state)
        self._recent.extend(torch.from_numpy(recent).split(self.block_frames, dim=1))
        self.apply(Resume((self.controls.seed + self.blocks) % 2**31))

    def _start_again(self, seed: int) -> None:
        """Stream and decoder begin anew from the newest latents, here as in a replay."""
        self._stream.reset()
        self._stream.reseed(seed)
        self._stream.block = self.blocks
        self._decoder.reset()
        if self._recent:
            recent = torch.cat(list(self._recent), dim=1).to(self._stream.device)
            self._stream.prime(recent, None)
            self._decoder.decode(recent)

    # --- state ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The musical state as JSON: everything but the model's own memory."""
        return {
            "controls": self.controls.to_dict(),
            "clock": self.clock.to_dict(),
            "notes": self.notes.to_dict(),
            "blocks": self.blocks,
            "emitted": self.emitted,
            "last_note_beat": self._last_note_beat,
            "bpm": self.clock.bpm(self.position),
            "beat": self.clock.beat(self.position),
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        self.controls = Controls.from_dict(state["controls"])
        self.clock = MusicalClock.from_dict(state["clock"])
        self.notes = HeldNotes.from_dict(state["notes"])
        self.blocks = int(state["blocks"])
        self.emitted = int(state["emitted"])
        self._last_note_beat = float(state["last_note_beat"])

    def snapshot(self) -> SessionSnapshot:
        """The whole state, to `restore` exactly: the same sound follows."""
        return SessionSnapshot(
            self._stream.snapshot(),
            self._decoder.snapshot(),
            self.state(),
            tuple(self._recent),
            tuple(self._pending),
        )

    def restore(self, snapshot: SessionSnapshot) -> None:
        """Continues from a snapshot of this session as if nothing had happened since."""
        self._set_state(snapshot.state)
        self._stream.restore(snapshot.stream)
        self._decoder.restore(snapshot.decoder)
        self._recent = deque(snapshot.recent, self._recent.maxlen)
        self._pending = list(snapshot.pending)


def _position(applied: Applied) -> int:
    return applied.sample


def _finite(*tensors: Tensor) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)


def _level(decibels: float | None) -> float | None:
    return None if decibels is None else level_of_db(decibels)
