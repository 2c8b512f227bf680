"""A session: controls in, blocks of sound out. The same code plays live, renders and replays.

A session reads no clock and touches no device. Time is its own count of samples: sample n of its
sound is sample n of the musical clock and of every control's position. Equal controls at equal
positions give equal samples, byte for byte, on the same machine and thread count.

A control changes nothing before the latent frame it stands in. Where one stands inside a block, the
block is denoised once without it for the frames before and once with it for the rest, the frames
before being settled. So what was generated ahead can be taken back to any frame and made anew, and
what is then heard is what would have been heard had nothing been generated ahead.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from lmdm.codec.two_precisions import TwoPrecisionsDecoder
from lmdm.conditioning.notes import NoteFrames
from lmdm.diffusion.samplers import Velocities
from lmdm.errors import InputError
from lmdm.live import messages as m
from lmdm.live import turns, wire
from lmdm.live.accompaniment import Accompaniment
from lmdm.live.block import Block
from lmdm.live.clock import SAMPLE_RATE, MusicalClock
from lmdm.live.controls import Controls
from lmdm.live.glide import Glide
from lmdm.live.governor import Economy, ladder
from lmdm.live.hearing import Hearing, asked_db, noise_number
from lmdm.live.history import Bar, History, HistorySnapshot, bars_begun
from lmdm.live.leveller import Leveller
from lmdm.live.loop import Loop, Looper
from lmdm.live.messages import Message
from lmdm.live.notes import HeldNotes
from lmdm.live.recollection import Moment, Recollection, RecollectionSnapshot
from lmdm.live.sizes import Sizes
from lmdm.live.take import Applied
from lmdm.live.waiting import Waiting, resolved
from lmdm.stream.block_stream import BlockConditions, BlockStream, StreamSnapshot

if TYPE_CHECKING:
    from lmdm.checkpoints import Model

LEAST_TRANSFORM = 0.05  # of the way from the input to noise
Watch = Callable[[Tensor, float, Velocities], None]
NOTE_MEMORY_BEATS = 4.0  # in mode "auto" the notes are given for this long after the last sounded


class UnsoundError(RuntimeError):
    """The model gave what is no sound (not finite), twice in a row."""


@dataclass(frozen=True)
class SessionSnapshot:
    """A session's whole state between two blocks; cheap to hold, exact to restore."""

    stream: StreamSnapshot
    decoder: Any  # what the decoder's snapshot() gave
    state: Mapping[str, Any]
    history: HistorySnapshot
    looper: tuple[tuple[np.ndarray, ...], Loop | None]
    recollection: RecollectionSnapshot


class Session(Sizes):
    """Folds control messages into what the model is told, block by block.

    Threads: none; one owner calls it.
    """

    def __init__(self, model: Model, controls: Controls) -> None:
        """Raises InputError if the model cannot be streamed, or not at this program's rate."""
        if model.codec.sample_rate != SAMPLE_RATE:
            raise InputError(
                f"the model {model.name} sounds at {model.codec.sample_rate} Hz; this program "
                f"plays at {SAMPLE_RATE} Hz"
            )
        super().__init__(model)
        self.stream = BlockStream(model.dit, model.stream_config, controls.seed)
        self.decoder = TwoPrecisionsDecoder(model.codec, model.decoder_dtype)
        self.economies = ladder(self.decoder.has_coarse)
        self._hearing = Hearing(model, self.tensor)
        self.controls = controls
        self.clock = MusicalClock.at_tempo(controls.bpm)
        self.notes = HeldNotes()
        self.glide = Glide()
        self.leveller = Leveller()
        self._asked: tuple[float | None, bool] = (None, True)  # level of the newest block; if free
        self.history = History(self.block_frames)
        self.scene = ""  # the one recalled last
        self.blocks = 0  # generated so far
        self.emitted = 0  # samples given out so far: the stream position of the next
        self.last_note_beat = -1e9  # the newest at which one sounded
        self._surplus = 0  # samples of the decoder's next sound that are not ours
        self._source: Tensor | None = None  # what the next block makes anew (generative delay)
        self._accompaniment = Accompaniment(model)
        self._looper = Looper()
        self.recollection = Recollection()
        self._pending: list[Applied] = []
        self.waiting: list[Waiting] = []
        self.watch: Watch | None = None  # sees the passes of blocks that begin from noise alone

    @property
    def delay_samples(self) -> int:
        """How far the sound lags the latents: frame f first touches f * frame_samples less this."""
        return self.decoder.delay_samples

    @property
    def economy(self) -> Economy:
        """What is given up now to keep in time."""
        return self.economies[min(self.controls.economy, len(self.economies) - 1)]

    @property
    def position(self) -> int:
        """Stream position, in samples, at which the next block's latents begin."""
        return self.blocks * self.block_samples

    @property
    def steps(self) -> int:
        """Denoising steps of a block: the musician's, or the model's own, less what is saved."""
        return self.economy.steps_of(self.controls.steps or self.model_steps)

    @property
    def guidance(self) -> float:
        """The guidance of a block: the musician's, unless it is saved."""
        return self.controls.guidance if self.economy.guided else 1.0

    # --- controls -------------------------------------------------------------------------------

    def apply(self, message: Message, sample: int | None = None) -> None:
        """Puts a control where it is to take effect: in the latent frame that contains `sample`.

        None, or a position already generated, means the start of the next block. Tempo and beat
        act from the sample itself. A quantised change waits for its boundary after that position.
        Instant-lane messages mean nothing here except `Panic`, which lifts the notes.
        """
        at = self.position if sample is None else max(sample, self.position)
        if isinstance(message, m.Quantised) and message.boundary != "now":
            self.waiting.append(Waiting.of(message.change, message.boundary, self.clock, at))
        elif isinstance(message, m.CancelQuantised):
            self.waiting.clear()
        else:
            change = message.change if isinstance(message, m.Quantised) else message
            self._pending.append(Applied(at, change))

    def _due(self) -> tuple[list[Applied], tuple[tuple[Waiting, Applied], ...]]:
        """Takes the controls of the next block out of the queue, in order of position."""
        end = self.position + self.block_samples
        ready, self.waiting = resolved(
            self.waiting, self.clock, self.position, end, self.frame_samples
        )
        queued = self._pending + [applied for _, applied in ready]
        due = sorted((each for each in queued if each.sample < end), key=_position)
        self._pending = [each for each in queued if each.sample >= end]
        return turns.lasting([self._placed(each) for each in due]), tuple(ready)

    def _placed(self, each: Applied) -> Applied:
        """The control at the position where it will act."""
        if isinstance(each.message, turns.EXACT):
            return each
        return replace(each, sample=each.sample - each.sample % self.frame_samples)

    # --- generation -----------------------------------------------------------------------------

    @torch.inference_mode()
    def next_block(
        self, settled: Tensor | None = None, before_step: Callable[[], None] | None = None
    ) -> Block:
        """Generates the next block.

        Args:
            settled: first frames [C, f] of the block that were generated before under the same
                controls; no pass is spent on them.
            before_step: called before every pass of the network. What it raises ends the block;
                the session must then be restored.

        Raises:
            UnsoundError: the model's latents or the decoder's sound are not finite even after the
                context was dropped.
        """
        applied, waited = self._due()
        parts = turns.by_frame(applied, self.position, self.frame_samples)
        loop = self._looper.loop
        if loop is not None and self._looper.rests(each.message for each in applied):
            for _, messages in parts:
                turns.turn(self, messages)
                self._listen(0, messages)
            pcm, latents = loop.at(self.emitted, self.block_samples), torch.zeros(0, 0)
            remarks: tuple[str, ...] = ()
        else:
            latents, local, remarks = self._denoised(parts, settled, before_step)
            pcm, latents, remarks = self._decoded(latents, local, remarks)
            self.leveller = self.leveller.after(pcm, *self._asked)
            pcm = self._looper.turn(pcm, self.emitted, map(self._change, applied))
            self.history.add(latents, local, self._bars_begun())
            self.recollection.keep(self._moment(), self.stream)
        block = Block(
            pcm, latents.float().cpu().numpy(), self.emitted, tuple(applied), waited, remarks
        )
        self._looper.remember(pcm)
        self._source = None
        self._accompaniment.forget()
        self.blocks += 1
        self.emitted += len(pcm)
        self.clock = self.clock.since(self.position)
        return block

    def _denoised(
        self,
        parts: list[tuple[int, list[Applied]]],
        settled: Tensor | None,
        before_step: Callable[[], None] | None,
    ) -> tuple[Tensor, Tensor, tuple[str, ...]]:
        """Latents [C, o], their local controls [L, o], remarks.

        One pass for every frame at which controls stand; each gives the frames up to the next.
        """
        given = 0 if settled is None else settled.shape[1]
        ends = [*(first for first, _ in parts[1:]), self.block_frames]
        latents, local = settled, torch.zeros(0)
        before = self.stream.snapshot()
        for (first, messages), end in zip(parts, ends, strict=True):
            self.stream.restore(before)
            turns.turn(self, messages)
            fresh = self._local(first, messages)
            local = fresh if first == 0 else torch.cat([local[:, :first], fresh[:, first:]], dim=1)
            before = self.stream.snapshot()
            if end <= given:
                continue
            past = latents[:, :first] if latents is not None and first else None
            latents = self._pass(first, local, past, before_step)
            if not _finite(latents):
                break
        assert latents is not None
        if _finite(latents):
            return latents, local, ()
        self.stream.restore(before)
        self.stream.reset()
        remark = f"block {self.blocks} was not finite: the context was dropped"
        return self._pass(0, local, None, before_step), local, (remark,)

    def _pass(
        self,
        first: int,
        local: Tensor,
        known: Tensor | None,
        before_step: Callable[[], None] | None,
    ) -> Tensor:
        """One pass over the block [C, o], with what stands from frame `first` on."""
        controls = self.controls
        beat = self.clock.beat(self.position + first * self.frame_samples)
        weights = self.glide.weights(controls.weighted_prompts(self.local_controls), beat)
        conditions = BlockConditions(
            text_tokens=self._hearing.text(weights, controls.blend_mode),
            negative_text_tokens=self._hearing.negative(controls.negative_prompt),
            local=local if len(local) else None,
            global_condition=self._model.global_condition,
            guidance=self.guidance,
            parallel=controls.guidance_parallel,
            guided=self.economy.guided,
        )
        recalled = self.recollection.for_block(self._moment())
        source, strength = self._source, max(LEAST_TRANSFORM, controls.transform)
        if source is None:
            source, strength = recalled.source, recalled.strength
        self.stream.block, towards = noise_number(
            controls.seed_mode, self.blocks, self.clock, self.position, self.block_samples
        )
        return self.stream.next_block(
            conditions,
            steps=self.steps,
            settled=known,
            before_step=before_step,
            source=source,
            strength=strength,
            remembered=recalled.heard,
            after_step=self.watch if known is None and source is None else None,
            towards=towards,
        )

    def _decoded(
        self, latents: Tensor, local: Tensor, remarks: tuple[str, ...]
    ) -> tuple[np.ndarray, Tensor, tuple[str, ...]]:
        """Sound [n, 2] of latents; what is not finite is made again from nothing."""
        before = self.decoder.snapshot()
        coarse = self.economy.coarse
        audio = self.decoder.decode(latents, coarse)
        if not _finite(latents, audio):
            self.stream.reset()
            self.decoder.restore(before)
            latents = self._pass(0, local, None, None)
            audio = self.decoder.decode(latents, coarse)
            remarks = (f"block {self.blocks} was not finite: the context was dropped",)
        if not _finite(latents, audio):
            raise UnsoundError(f"block {self.blocks} is not finite, with and without its context")
        pcm = np.ascontiguousarray(audio[:, self._surplus :].T.float().cpu().numpy())
        self._surplus = max(0, self._surplus - audio.shape[1])
        return pcm, latents, remarks

    def _local(self, first: int, messages: list[Applied]) -> Tensor:
        """[L, o] features of the local controls, as they stand from frame `first` on."""
        notes = self._listen(first, messages)
        if notes.sounding[:, first:].any():
            self.last_note_beat = self.clock.beat(self.position + self.block_samples)
        since = self.clock.beat(self.position) - self.last_note_beat
        mode = self.controls.notes_mode
        given = mode == "follow" or (mode == "auto" and since < NOTE_MEMORY_BEATS)
        centres = [
            self.position + (frame + 0.5) * self.frame_samples for frame in range(self.block_frames)
        ]
        if self._accompaniment.stem:
            jams = self.controls.jam_mode == "context"
            return self._accompaniment.stem_local(jams, self.stream.context.latents)
        heard = notes if given else None
        self._asked = asked_db(self.controls, heard), heard is None
        level, beside = self.leveller.told(*self._asked), self._accompaniment.frames
        features = self._hearing.local(self.controls, heard, self.clock, centres, level, beside)
        return torch.zeros(0, self.block_frames) if features is None else features

    def _moment(self) -> Moment:
        return Moment(self.controls, self.clock, self.position, self, self.history)

    def _listen(self, first: int, messages: list[Applied]) -> NoteFrames:
        """The block's notes, those of `messages` at frame `first`."""
        events = [(first, each.message) for each in messages if HeldNotes.hears(each.message)]
        return self.notes.block(events, self.block_frames)

    def _bars_begun(self) -> list[Bar]:
        sample, frame = self.position, self.frame_samples
        edges = self.clock.beats([sample + n * frame for n in range(self.block_frames + 1)])
        return bars_begun(edges, self.clock.beats_per_bar, self.history.frames, self.controls)

    def _change(self, each: Applied) -> tuple[int, Message, float]:
        """A control as the looper sees it: by the first sample it touches."""
        bar = self.clock.beats_per_bar * 60.0 * self.sample_rate / self.clock.bpm(each.sample)
        return each.sample - self.delay_samples, each.message, bar

    def tensor(self, values: np.ndarray) -> Tensor:
        """An array where the stream computes."""
        return torch.from_numpy(np.array(values)).to(self.stream.device, self.stream.dtype)

    # --- live input and beginning from other sound ----------------------------------------------

    def hear(self, message: m.HearInput) -> None:
        """Live input: an accompaniment, or what this block makes anew, or (for a model that hears
        no accompaniment) the newest block of the context.
        """
        latents = self.tensor(wire.array_of(message.latents, self.latent_channels))
        if self.controls.jam_mode == "delay":
            self._source = latents
        elif self._accompaniment.heard:
            self._accompaniment.hear(message, latents, self.stream)
        elif self.stream.context.frames >= self.block_frames:
            self.stream.replace_newest(latents)

    @property
    def fed(self) -> bool:
        """Whether live input for the next block waits to be heard."""
        end = self.position + self.block_samples
        return any(isinstance(p.message, m.HearInput) and p.sample < end for p in self._pending)

    def past(self, position: int, count: int) -> np.ndarray:
        """The stream's own sound at a position of the last 40 s [count, 2]; else silence."""
        return self._looper.past(position - self.emitted, count)

    @torch.inference_mode()
    def prime(self, latents: Tensor) -> None:
        """Lets the music go on from `latents` [C, n], which are not given out.

        For a session that has generated nothing yet.
        """
        self.stream.prime(latents, None)
        given = self.decoder.decode(latents).shape[1]
        self._surplus = latents.shape[1] * self.frame_samples - given

    def resume(self, state: Mapping[str, Any], recent: np.ndarray, skip: int = 0) -> None:
        """Takes over from a session that died: its last `state()` and its newest latents [C, n].

        skip: samples of its next block that were given out already.
        """
        self._set_state(state)
        local = torch.zeros(self._model.dit.config.local_channels, self.block_frames)
        for latents in self.tensor(recent).split(self.block_frames, dim=1):
            self.history.add(latents, local, [])
        self._surplus += skip
        self.emitted += skip
        self.apply(m.Resume((self.controls.seed + self.blocks) % 2**31))

    def start_again(self, seed: int) -> None:
        """Stream and decoder begin anew from the newest latents, here as in a replay."""
        self.stream.reset()
        self.stream.reseed(seed)
        self.decoder.reset()
        self.controls = replace(self.controls, freeze=None)
        self.history.forget_bars()
        self.recollection.forget()
        latents, _ = self.history.before(self.history.frames, self.context_frames)
        if latents.shape[1]:
            self.stream.prime(latents, None)
            self.decoder.decode(latents)

    # --- state ----------------------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """The musical state as JSON: everything but the model's own memory."""
        return {
            "controls": self.controls.to_dict(),
            "clock": self.clock.to_dict(),
            "notes": self.notes.to_dict(),
            "glide": self.glide.to_dict(),
            "leveller": self.leveller.to_dict(),
            "scene": self.scene,
            "blocks": self.blocks,
            "emitted": self.emitted,
            "surplus": self._surplus,
            "last_note_beat": self.last_note_beat,
            "bpm": self.clock.bpm(self.position),
            "beat": self.clock.beat(self.position),
            "pending": [[each.sample, m.to_dict(each.message)] for each in self._pending],
            "waiting": [each.to_dict() for each in self.waiting],
            "recalled": list(self.recollection.bars),
            "remembered": self.recollection.remembered,
        }

    def _set_state(self, state: Mapping[str, Any]) -> None:
        self.controls = Controls.from_dict(state["controls"])
        self.clock = MusicalClock.from_dict(state["clock"])
        self.notes = HeldNotes.from_dict(state["notes"])
        self.glide = Glide.from_dict(state["glide"])
        self.leveller = Leveller.from_dict(state["leveller"])
        self.scene = str(state["scene"])
        self.blocks = int(state["blocks"])
        self.emitted = int(state["emitted"])
        self._surplus = int(state["surplus"])
        self.last_note_beat = float(state["last_note_beat"])
        self._pending = [Applied(at, m.from_dict(values)) for at, values in state["pending"]]
        self.waiting = [Waiting.from_dict(each) for each in state["waiting"]]

    def snapshot(self) -> SessionSnapshot:
        """The whole state, to `restore` exactly: the same sound follows."""
        return SessionSnapshot(
            self.stream.snapshot(),
            self.decoder.snapshot(),
            self.state(),
            self.history.snapshot(),
            self._looper.snapshot(),
            self.recollection.snapshot(),
        )

    def restore(self, snapshot: SessionSnapshot) -> None:
        """Continues from a snapshot of this session as if nothing had happened since."""
        self._set_state(snapshot.state)
        self.stream.restore(snapshot.stream)
        self.decoder.restore(snapshot.decoder)
        self.history.restore(snapshot.history)
        self._looper.restore(snapshot.looper)
        self.recollection.restore(snapshot.recollection)
        self._source = None
        self._accompaniment.forget()

    def rewind(
        self, snapshot: SessionSnapshot, applied: list[Applied], waiting: list[Waiting]
    ) -> None:
        """Goes back to a snapshot, keeping what was asked for since.

        applied: controls that acted in the blocks taken back, save those that had waited.
        waiting: those that had waited.
        """
        pending = applied + self._pending
        wait = waiting + self.waiting
        self.restore(snapshot)
        self._pending, self.waiting = pending, wait


def _position(applied: Applied) -> int:
    return applied.sample


def _finite(*tensors: Tensor) -> bool:
    return all(bool(torch.isfinite(tensor).all()) for tensor in tensors)
