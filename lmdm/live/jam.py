"""Live input in the engine: what was played, placed in the stream's time, for the model to hear.

Sample n of the input's ring was played to stream position n + offset, latencies taken out. For a
block at position P the jam mode asks for another stretch of it:

    context   what was played up to P + t_f, as accompaniment or as the newest block of the context
    delay     what was played from P - n D on, to be made anew (generative delay); n is 1, or what
              it takes for that to have been played when the block must be made
    sketch    nothing: its pitches become notes, its level loudness, as it comes

A model that hears accompaniment plays along with it; any other hears it as if it had played it
itself, and with t_f (future visibility) in whole beats that is in time. Live, t_f is at most what
has been played when the block must be made. All that the model hears becomes a control message, so
a take holds it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch

from lmdm.live import wire
from lmdm.live.accompaniment import hears_accompaniment
from lmdm.live.messages import HearInput, Message, NoteOff, NoteOn, SetLoudness
from lmdm.live.pitch import WINDOW, level_db, pitches
from lmdm.live.ring import AudioRing

if TYPE_CHECKING:
    from lmdm.checkpoints import Model
    from lmdm.live.session import Session

MEMORY_SECONDS = 40.0  # the longest delay, and some
HISTORY_FRAMES = 16  # of sound before what is encoded, for the encoder
LOOK_FRAMES = 1  # and after it: the codec's analysis windows reach so far
HEARD_DB = -55.0  # RMS below which the input is silence, and the model's own music stays
GUARD_DB = -12.0  # RMS that input and feedback together may have in the delay
SKETCH_SECONDS = 0.05
LOUDNESS_STEP_DB = 2.0
EASIER = 1.25  # a delay is shortened only where it could be so much shorter still


class InputTape:
    """The newest of the live input, by stream position.

    Threads: none; the engine's thread calls it.
    """

    def __init__(self, ring: AudioRing, rate: int = 44100) -> None:
        self._ring = ring
        self._samples = np.zeros((round(MEMORY_SECONDS * rate), 2), np.float32)  # circular
        self._end = self._begin = ring.read_total  # ring positions between which it is known
        self.offset: int | None = None  # stream position of the ring's sample 0

    def listen(self) -> None:
        """Takes in what has come."""
        waiting = self._ring.readable
        if waiting:
            pcm = self._ring.read(waiting)
            self._end += len(pcm)
            kept = pcm[-len(self._samples) :]
            self._samples[self._places(self._end - len(kept), self._end)] = kept
            self._begin = max(self._begin, self._end - len(self._samples))

    def _places(self, first: int, end: int) -> np.ndarray:
        return np.arange(first, end) % len(self._samples)

    @property
    def end(self) -> int:
        """Stream position up to which the input is known; far in the past without one."""
        return -(2**62) if self.offset is None else self._end + self.offset

    @property
    def begin(self) -> int:
        """Stream position from which the input is known."""
        return 2**62 if self.offset is None else self._begin + self.offset

    def at(self, position: int, count: int) -> np.ndarray:
        """What was played at a stream position [count, 2]; silence where nothing is known."""
        pcm = np.zeros((count, 2), np.float32)
        if self.offset is None:
            return pcm
        first = position - self.offset  # of the ring
        low, high = max(self._begin, first), min(self._end, first + count)
        if high > low:
            pcm[low - first : high - first] = self._samples[self._places(low, high)]
        return pcm

    def newest(self, count: int) -> np.ndarray:
        """The last `count` samples [m, 2], m <= count."""
        return self._samples[self._places(max(self._begin, self._end - count), self._end)]


class Jam:
    """Turns the live input into control messages.

    Threads: none; the engine's thread calls it.
    """

    def __init__(self, model: Model, session: Session, tape: InputTape) -> None:
        self._model, self._session, self.tape = model, session, tape
        self._held: tuple[int, ...] = ()
        self._heard: tuple[int, ...] = ()  # pitches of the look before
        self._level: float | None = None
        self._loudness: float | None = None  # the musician's, before a sketch set another
        self._delay = 0  # asked for, in samples
        self._times = 1  # how often it is taken
        self.notices: list[str] = []  # to tell the musician
        self._sketched_at = float("-inf")
        self._late = 0  # frames before a block's beginning up to which the input is known in time
        self._stem = bool(model.stream_config.accompaniment)
        self.accompanies = hears_accompaniment(model)
        self.guard_db = 0.0  # what the feedback guard took off last

    def warm_up(self) -> None:
        """Encodes silence, so that the first sound that is heard does not come late."""
        session = self._session
        count = HISTORY_FRAMES * session.frame_samples + session.block_samples
        with torch.inference_mode():
            self._model.codec.encode(torch.zeros(1, 2, count))

    def _span(self, position: int) -> tuple[int, int] | None:
        """First and end position of the input that a block at `position` asks for."""
        session, controls = self._session, self._session.controls
        beat = 60.0 * session.sample_rate / session.clock.bpm(position)
        if controls.jam_mode == "context":
            end = position + self._ahead(controls.future_visibility * beat) * session.frame_samples
            return end - session.block_samples, end
        if controls.jam_mode == "delay":
            first = position - self._delayed(round(controls.delay_beats * beat))
            return first, first + session.block_samples
        return None

    def _delayed(self, asked: int) -> int:
        """Samples of delay: as many times what is asked as are needed to hear a block in time."""
        session = self._session
        least = session.block_samples + self._late * session.frame_samples
        times = max(1, -(-least // asked))
        easier = max(1, -(-round(EASIER * least) // asked)) < self._times
        if asked != self._delay or times > self._times or easier:
            if times > 1 and (asked, times) != (self._delay, self._times):
                milliseconds = round(1000 * least / session.sample_rate)
                self.notices.append(
                    f"the model needs {milliseconds} ms to answer: the delay is taken {times} times"
                )
            self._delay, self._times = asked, times
        return asked * self._times

    def _ahead(self, visible: float) -> int:
        """Whole frames after a block's beginning up to which it hears, of the samples wished."""
        return min(round(visible / self._session.frame_samples), -self._late)

    def reckon(self, read: int, pressing: int) -> None:
        """Reckons with the latency there is: blocks are made `pressing` samples before position
        `read` comes to them.

        What a model hears must keep its place, so little changes of latency change nothing.
        """
        if self.tape.offset is not None:
            late = pressing + max(0, read - self.tape.end)
            frames = -(-late // self._session.frame_samples) + LOOK_FRAMES
            if not -1 <= frames - self._late <= 0:
                self._late = frames

    def ready(self) -> bool:
        """Whether the input that the next block asks for has come."""
        span = self._span(self._session.position)
        look = LOOK_FRAMES * self._session.frame_samples
        return span is None or self.tape.offset is None or span[1] + look <= self.tape.end

    def for_block(self, past: Callable[[int, int], np.ndarray]) -> Message | None:
        """What the next block hears of the input; None if nothing.

        past(position, count): the stream's own sound [count, 2], for the feedback.
        """
        session, controls = self._session, self._session.controls
        span = self._span(session.position)
        if span is None or self.tape.offset is None:
            return None
        history, look = (n * session.frame_samples for n in (HISTORY_FRAMES, LOOK_FRAMES))
        pcm = self.tape.at(span[0] - history, history + session.block_samples + look)
        if controls.jam_mode == "delay" and controls.feedback > 0.0:
            own = past(span[0] - history, len(pcm))
            pcm = self._guarded(pcm + np.float32(controls.feedback) * own)
        context = controls.jam_mode == "context"
        if level_db(pcm[history:-look]) < HEARD_DB and not (context and self._stem):
            return None
        known = self._known(span[0]) if context else ()
        if context and not any(known):
            return None
        with torch.inference_mode():
            latents = self._model.codec.encode(torch.from_numpy(pcm.T.copy())[None])
        block = latents[0, :, HISTORY_FRAMES : HISTORY_FRAMES + session.block_frames]
        ahead = (span[1] - session.position) // session.frame_samples if context else 0
        return HearInput(wire.text_of(block.float().cpu().numpy()), ahead, known)

    def _known(self, first: int) -> tuple[bool, ...]:
        """Which frames of a block of input from `first` on have been played."""
        frame, tape = self._session.frame_samples, self.tape
        begins = (first + n * frame for n in range(self._session.block_frames))
        reach = (1 + LOOK_FRAMES) * frame
        return tuple(tape.begin <= begin and begin + reach <= tape.end for begin in begins)

    def _guarded(self, pcm: np.ndarray) -> np.ndarray:
        """The sound, not louder than the guard allows: what goes round cannot grow for ever."""
        over = level_db(pcm) - GUARD_DB
        self.guard_db = -max(0.0, over)
        return pcm * np.float32(10.0 ** (self.guard_db / 20.0)) if over > 0.0 else pcm

    def sketch(self, now: float) -> list[Message]:
        """Notes and loudness that the newest input asks for; `now` in seconds of any clock.

        A pitch must be there at two looks in a row to begin, and be gone at two to end.
        """
        wanted = self._session.controls.jam_mode == "sketch" and self.tape.offset is not None
        if not wanted:
            lifted: list[Message] = [NoteOff(pitch) for pitch in self._held]
            if self._level is not None:
                lifted.append(SetLoudness(self._loudness))
            self._held, self._heard, self._level = (), (), None
            return lifted
        if now - self._sketched_at < SKETCH_SECONDS:
            return []
        self._sketched_at = now
        pcm = self.tape.newest(WINDOW)
        sounding, level = pitches(pcm), level_db(pcm)
        stable = {p for p in sounding if p in self._heard}
        gone = {p for p in self._held if p not in sounding and p not in self._heard}
        begun = sorted(stable - set(self._held))
        velocity = int(np.clip(127 + 2 * level, 1, 127))
        asked: list[Message] = [NoteOff(pitch) for pitch in sorted(gone)]
        asked += [NoteOn(pitch, velocity) for pitch in begun]
        self._held = tuple(sorted((set(self._held) - gone) | set(begun)))
        self._heard = sounding
        heard = level >= HEARD_DB
        if heard and (self._level is None or abs(level - self._level) >= LOUDNESS_STEP_DB):
            if self._level is None:
                self._loudness = self._session.controls.loudness_db
            self._level = level
            asked.append(SetLoudness(round(max(-72.0, min(0.0, level)), 1)))
        return asked
