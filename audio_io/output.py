"""The output: pulls sound from a source and keeps the device fed.

    source -> concealment -> DC block -> resampler -> effects -> limiter -> gate -> device's ring

Everything up to the playout ring runs in one Python thread, the feeder; the device itself plays
from the ring in C. The ring is deep (60 to 170 ms) so that the feeder may be late; gain, mute and
effects act at once all the same, and a live input is heard close behind the device, because the
frames that wait are rendered anew, from the state of effects and limiter kept with every chunk.

    output = Output(ring.read, open_playout("jack", buffer_ms=170))
    output.add_tap(recorder.process)
    output.start()
"""

from __future__ import annotations

import math
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from audio_io.buffer_length import BufferLength
from audio_io.concealment import Concealment
from audio_io.dc_block import DCBlock
from audio_io.effects import Effects, EffectsState, Settings
from audio_io.gain import amplitude
from audio_io.gate import MUTE_SECONDS, PANIC_SECONDS, Gate
from audio_io.limiter import Limiter, LimiterConfig, LimiterState
from audio_io.monitor import Live, Monitor, Tell
from audio_io.playout import ClockPlayout, Playout
from audio_io.priority import raise_thread_priority
from audio_io.resampling import Resampler
from lmdm.errors import GoingOn
from lmdm.live.messages import Dropout

Audio = NDArray[np.float32]
Source = Callable[[int], Audio]
Tap = Callable[[Audio], None]

_TICK_SECONDS = 0.008
_SWITCH_INTERVAL = 0.0005  # lets the feeder in 0.5 ms after it wakes, whatever other threads do
_LEAST_SECONDS = 2 * _TICK_SECONDS  # of buffer beyond the device's: the feeder may sleep so long
_GUARD_SECONDS = 0.002  # a gain change stays this far ahead of the device
_PATIENCE = 0.5  # share of the buffer above low water that a dry source may use up

MOST_DROPOUTS = 100
SAME_SECONDS = 1.0  # a trouble that comes again within so long is the same one, told once
DROPOUT_REASONS = (
    "the feeder was late: raise the buffer",
    "the system ran the device late",
    "the source had nothing to play",
)


@dataclass(frozen=True)
class OutputConfig:
    """Settings of the output."""

    source_rate: int = 44100  # samples a second of the source
    buffer_ms: float = 170.0  # sound kept ready for the device
    most_buffer_ms: float = 350.0  # how far it grows by itself where the feeder is let in late
    low_water: float = 0.4  # part of the buffer below which missing frames are made up
    chunk_frames: int = 240  # rendered at once; numpy keeps the interpreter lock below 500 samples
    ceiling_db: float = -1.0  # dBFS, never exceeded


@dataclass(frozen=True)
class OutputStats:
    """Counters since the start and figures of the moment."""

    device: str
    rate: int  # device samples a second
    underruns: int  # times the device found nothing to play (0 is the promise)
    device_xruns: int  # times the system itself ran the device late, whatever we had ready
    starvations: int  # times the source had nothing and a fade was heard instead
    starved_ms: float  # how much sound was made up in all
    blocks: int  # device callbacks
    played_seconds: float
    buffer_ms: float  # sound that is kept ready
    buffered_ms: float  # ready for the device now
    lowest_ms: float  # least that was ready, since the start
    latency_ms: float  # from the source to the ear
    gain_reduction_db: float  # what the limiter takes off now
    device_lost: bool


@dataclass(eq=False)
class _Chunk:
    position: int  # playout position of the first frame
    source: Audio  # before the effects
    settings: Settings  # of the effects
    effects: EffectsState  # before the chunk
    limiter: LimiterState
    limited: Audio  # before the gate
    heard: Audio  # as written to the playout
    live: Audio | None = None  # live input that is heard beside it


class Output:
    """Feeds a playout from a source, with gain, limiter, concealment and taps.

    Threads: `start` makes the feeder thread, which alone calls the source, the playout and the
    taps. The setters, `panic`, `switch` and `stats` may be called from any thread and never block:
    they leave a value and wake the feeder.
    """

    def __init__(
        self, source: Source, playout: Playout, config: OutputConfig | None = None
    ) -> None:
        """`source(n)` returns up to n frames [m, channels] at once, without waiting."""
        self.config = config or OutputConfig()
        self._conceal = Concealment(source, self.config.source_rate, playout.channels)
        self._dc_block = DCBlock(self.config.source_rate, playout.channels)
        self._source_taps: list[Tap] = []
        self._output_taps: list[Tap] = []
        self._settings = self._applied = Settings()
        self._open, self._fade_seconds = 1.0, MUTE_SECONDS
        self._live: tuple[Live, Tell] | None = None
        self._wake = threading.Event()
        self._closing = False
        self._length = BufferLength(self.config.buffer_ms, self.config.most_buffer_ms)
        self._thread: threading.Thread | None = None
        self._next_playout: Playout | None = None
        self._device_lost = False
        self._past_underruns = self._past_xruns = self._past_blocks = 0
        self._past_seconds = 0.0
        self._began: float | None = None  # s of playing at which the music began
        self.dropouts: deque[Dropout] = deque(maxlen=MOST_DROPOUTS)  # the newest
        self._counted = (0, 0, 0)
        self._noted_at: dict[str, float] = {}  # s, when each trouble was there last
        self._connect(playout)

    def _connect(self, playout: Playout) -> None:
        rate = playout.rate
        self._playout = playout
        self._fit_buffer()
        self._lowest = self._target
        self._ready = False
        self._ratio = self.config.source_rate / rate
        self._resampler = Resampler(self.config.source_rate, rate, playout.channels)
        self._monitor = Monitor(self.config.source_rate, rate, playout.channels)
        self._pending: Audio = np.zeros((0, playout.channels), np.float32)
        self._applied = self._settings
        self._effects = Effects(rate, playout.channels, self._applied)
        self._gate = Gate(rate, self._open)
        self._limiter = Limiter(
            LimiterConfig(rate=rate, ceiling_db=self.config.ceiling_db), playout.channels
        )
        self._chunks: deque[_Chunk] = deque()

    def _fit_buffer(self) -> None:
        """How many frames are kept ready, and below which number missing ones are made up."""
        playout = self._playout
        least = 2 * playout.period + self.config.chunk_frames + round(playout.rate * _LEAST_SECONDS)
        wanted = max(least, round(playout.rate * self._length.ms / 1000.0))
        self._target = min(wanted, playout.capacity)
        self._low_water = round(self._target * self.config.low_water)

    # --- any thread -------------------------------------------------------------------------------

    def set_gain_db(self, decibels: float) -> None:
        """Output gain; -90 dB and below is silence. Heard after a device block or two."""
        self._set(gain=amplitude(decibels))

    def set_wet(self, amount: float) -> None:
        """How much of the source is heard, 0 to 1."""
        self._set(wet=amount)

    def set_dry(self, amount: float) -> None:
        """How much of the live input is heard, 0 to 1 (see `listen_to`)."""
        self._set(dry=amount)

    def set_low_pass(self, cutoff: float | None) -> None:
        """Low-pass filter at a frequency in Hz; None is open."""
        self._set(low_pass=cutoff)

    def set_high_pass(self, cutoff: float | None) -> None:
        """High-pass filter at a frequency in Hz; None is open."""
        self._set(high_pass=cutoff)

    def set_mute(self, on: bool) -> None:
        """Fades to silence, or back, in 10 ms."""
        self._open, self._fade_seconds = float(not on), MUTE_SECONDS
        self._wake.set()

    def panic(self) -> None:
        """Silence as soon as the device allows: 4 ms of fade after what it has already taken."""
        self._open, self._fade_seconds = 0.0, PANIC_SECONDS
        self._wake.set()

    def listen_to(self, live: Live | None, tell: Tell | None = None) -> None:
        """Mixes a live input at the source's rate in, as loud as `set_dry` says; None ends it.

        See `Monitor.take` for what the two are called with, in the feeder thread.
        """
        self._live = None if live is None else (live, tell or (lambda *_: None))

    def _set(self, **changes: float | None) -> None:
        self._settings = replace(self._settings, **changes)  # type: ignore[arg-type]
        self._wake.set()

    def set_buffer_ms(self, milliseconds: float) -> None:
        """Sound kept ready for the device; no less than the device and the feeder need."""
        self.config = replace(self.config, buffer_ms=milliseconds)
        self._length = BufferLength(milliseconds, self.config.most_buffer_ms)
        self._fit_buffer()
        self._wake.set()

    def begin(self) -> None:
        """The music begins: drop-outs are told from here on, and lateness counts."""
        self.dropouts.clear()
        self._noted_at.clear()
        self._began = self._seconds

    def switch(self, playout: Playout) -> None:
        """Goes on with another device; the old one is closed. Counters run on."""
        self._next_playout = playout
        self._wake.set()

    @property
    def patience(self) -> float:
        """Seconds for which a source that ran dry may keep us waiting before it has to make up."""
        return _PATIENCE * (self._target - self._low_water) / self._playout.rate

    @property
    def switching(self) -> bool:
        """Whether a device that was handed over has yet to begin."""
        return self._next_playout is not None

    def add_tap(self, tap: Tap, point: Literal["source", "output"] = "output") -> None:
        """Gives every frame to `tap(pcm)`, in the feeder thread; it must return at once.

        `output`: device rate, limited, at the moment it is played. `source`: source rate, before
        gain and limiter, when it is pulled.
        """
        (self._output_taps if point == "output" else self._source_taps).append(tap)

    def stats(self) -> OutputStats:
        """A consistent enough look for a meter; exact after `close`."""
        playout = self._playout
        buffered = len(self._pending) + sum(len(chunk.heard) for chunk in tuple(self._chunks))
        per_ms = playout.rate / 1000.0
        behind = playout.latency + self._resampler.held_seconds
        return OutputStats(
            device=playout.name,
            rate=playout.rate,
            underruns=self._past_underruns + playout.underruns,
            device_xruns=self._past_xruns + playout.device_xruns,
            starvations=self._conceal.starvations,
            starved_ms=1000.0 * self._conceal.starved_frames / self.config.source_rate,
            blocks=self._past_blocks + playout.blocks,
            played_seconds=self._past_seconds + (playout.written - buffered) / playout.rate,
            buffer_ms=self._target / per_ms,
            buffered_ms=buffered / per_ms,
            lowest_ms=self._lowest / per_ms,
            latency_ms=(buffered + self._limiter.latency) / per_ms + 1000.0 * behind,
            gain_reduction_db=self._limiter.reduction_db,
            device_lost=self._device_lost,
        )

    def start(self) -> None:
        """Starts feeding."""
        self._interval = sys.getswitchinterval()
        sys.setswitchinterval(min(self._interval, _SWITCH_INTERVAL))
        self._thread = threading.Thread(target=self._run, name="audio feeder", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Fades out, stops feeding and closes the device."""
        if self._thread is None:
            return
        self.set_mute(True)
        time.sleep(0.03 + 2 * self._playout.period / self._playout.rate)
        self._closing = True
        self._wake.set()
        self._thread.join()
        self._thread = None
        sys.setswitchinterval(self._interval)

    # --- feeder thread ----------------------------------------------------------------------------

    def _run(self) -> None:
        raise_thread_priority()
        going_on = GoingOn("the feeder", self._note)
        while not self._closing:
            with going_on:
                self._turn()
            self._wake.wait(_TICK_SECONDS)
            self._wake.clear()
        self._playout.close()

    def _turn(self) -> None:
        told = self._length.turn(time.monotonic(), counts=self._counts)
        self._fit_buffer()
        if told:
            self._note(told)
        if self._next_playout is not None:
            self._replace(self._next_playout, lost=False)
            self._next_playout = None
        self._feed()
        if not self._playout.alive:
            playout = self._playout
            spare = ClockPlayout(playout.rate, playout.capacity, playout.channels)
            self._replace(spare, lost=True)

    def _feed(self) -> None:
        """One turn: what has been set, fill the playout, hand what was played to the taps."""
        playout, chunk = self._playout, self.config.chunk_frames
        if self._gate.target != self._open:
            self._turn_gate()
        if self._settings != self._applied:
            self._apply_settings()
        queued = self._measure()
        for _ in range(self._target // chunk):  # a device as fast as we are must not keep us here
            if queued + chunk > self._target or not self._render_chunk(queued):
                break
            queued = self._measure()
        if self._live is not None:
            self._mix_in(*self._live)
        filled = queued >= self._low_water
        self._ready = self._ready or filled
        playout.service(filled)
        self._note_dropouts()
        self._deliver(playout.written - playout.queued)

    def _note_dropouts(self) -> None:
        playout = self._playout
        now = (
            self._past_underruns + playout.underruns,
            self._past_xruns + playout.device_xruns,
            self._conceal.starvations,
        )
        for before, after, reason in zip(self._counted, now, DROPOUT_REASONS, strict=True):
            if after > before:
                self._note(reason)
        self._counted = now

    def _note(self, text: str) -> None:
        seconds = self._seconds - (self._began or 0.0)
        if seconds - self._noted_at.get(text, -math.inf) > SAME_SECONDS:
            self.dropouts.append(Dropout(round(seconds, 2), text))
        self._noted_at[text] = seconds

    @property
    def _counts(self) -> bool:
        """Whether a late feeder could be heard."""
        return self._ready and self._began is not None

    @property
    def _seconds(self) -> float:
        """Given to devices since the start."""
        return self._past_seconds + self._playout.written / self._playout.rate

    def _measure(self) -> int:
        queued = self._playout.queued
        if self._ready:
            self._lowest = min(self._lowest, queued)
        return queued

    def _render_chunk(self, queued: int) -> bool:
        """Renders and writes one chunk; False if the source is dry and there is time to wait."""
        count = self.config.chunk_frames
        while len(self._pending) < count:
            wanted = math.ceil((count - len(self._pending)) * self._ratio)
            pcm = self._conceal.take_available(wanted)
            if len(pcm) == 0:
                if queued > self._low_water:
                    return False
                pcm = self._conceal.make_up(wanted)
            for tap in self._source_taps:
                tap(pcm)
            pcm = self._dc_block.process(pcm)
            self._pending = np.concatenate((self._pending, self._resampler.process(pcm)))
        source, self._pending = self._pending[:count], self._pending[count:]
        before = (self._effects.state, self._limiter.state)
        chunk = _Chunk(self._playout.written, source, self._applied, *before, source, source)
        self._render(chunk)
        self._playout.write(chunk.heard)
        self._chunks.append(chunk)
        return True

    def _mix_in(self, live: Live, tell: Tell) -> None:
        """Puts what has come of the live input beside the frames that the device takes next."""
        playout, earliest = self._playout, self._earliest()
        ahead = len(self._pending) / playout.rate + self._resampler.held_seconds
        place, pcm = self._monitor.take(live, tell, earliest, playout.written, ahead)
        if not len(pcm):
            return
        end = place + len(pcm)
        touched = [
            each
            for each in self._chunks
            if each.position < end and each.position + len(each.source) > place
        ]
        for chunk in touched:
            if chunk.live is None:
                chunk.live = np.zeros_like(chunk.source)
            first, last = max(place, chunk.position), min(end, chunk.position + len(chunk.live))
            beside = pcm[first - place : last - place]
            chunk.live[first - chunk.position : last - chunk.position] = beside
        if any(each.settings.dry > 0.0 or each.effects.hears_live for each in touched):
            self._render_anew(touched, earliest)

    def _render_anew(self, chunks: list[_Chunk], earliest: int) -> None:
        """Renders neighbours that wait anew, each with its own settings.

        What follows them stays until its own turn comes, and then begins where they end. In order
        of time, each written at once: the device never overtakes.
        """
        after = (self._effects.state, self._limiter.state)
        self._effects.state, self._limiter.state = chunks[0].effects, chunks[0].limiter
        for chunk in chunks:
            late, taken = max(0, earliest - chunk.position), chunk.heard
            self._effects.set(chunk.settings)
            self._render(chunk)
            self._playout.overwrite(chunk.position + late, chunk.heard[late:])
            chunk.heard[:late] = taken[:late]
        following = self._chunks.index(chunks[-1]) + 1
        if following < len(self._chunks):
            chunk = self._chunks[following]
            chunk.effects, chunk.limiter = self._effects.state, self._limiter.state
            self._effects.state, self._limiter.state = after
        self._effects.set(self._applied)

    def _render(self, chunk: _Chunk) -> None:
        chunk.effects, chunk.limiter = self._effects.state, self._limiter.state
        chunk.limited = self._limiter.process(self._effects.process(chunk.source, chunk.live))
        self._pass_gate(chunk)

    def _pass_gate(self, chunk: _Chunk) -> None:
        chunk.heard = chunk.limited.copy()
        if not self._gate.open_at(chunk.position):
            gains = self._gate.gains(chunk.position, len(chunk.limited))[:, None]
            chunk.heard = (chunk.limited * gains).astype(np.float32)

    def _earliest(self) -> int:
        """The first frame that can still be replaced before the device takes it."""
        playout = self._playout
        guard = playout.period + round(_GUARD_SECONDS * playout.rate)
        return playout.written - playout.queued + guard

    def _turn_gate(self) -> None:
        """Mutes, or lets through again, from the first frame that the device has not taken."""
        earliest = self._earliest()
        self._gate.turn(self._open, earliest, self._fade_seconds)
        for chunk in self._chunks:
            late = max(0, earliest - chunk.position)
            if late < len(chunk.limited):
                taken = chunk.heard[:late]
                self._pass_gate(chunk)
                self._playout.overwrite(chunk.position + late, chunk.heard[late:])
                chunk.heard[:late] = taken

    def _apply_settings(self) -> None:
        """Renders what waits anew with the new settings, from just ahead of the device on."""
        self._applied = self._settings
        earliest = self._earliest()
        waiting = [chunk for chunk in self._chunks if chunk.position >= earliest]
        for chunk in waiting:
            chunk.settings = self._applied
        if waiting:
            self._render_anew(waiting, earliest)
        else:
            self._effects.set(self._applied)

    def _deliver(self, played: int) -> None:
        while self._chunks and self._chunks[0].position + len(self._chunks[0].heard) <= played:
            heard = self._chunks.popleft().heard
            for tap in self._output_taps:
                tap(heard)

    def _replace(self, playout: Playout, lost: bool) -> None:
        old = self._playout
        self._deliver(old.written)  # it will not be heard, but the take has no hole
        # Closing a dead device can hang in the driver: the music must not wait for it.
        closer = threading.Thread(target=old.close, name="audio device closer", daemon=True)
        closer.start()
        closer.join(timeout=0.0 if lost else 1.0)
        self._past_underruns += old.underruns
        self._past_xruns += old.device_xruns
        self._past_blocks += old.blocks
        self._past_seconds += old.written / old.rate
        self._device_lost = lost
        self._connect(playout)
        self._conceal.fade_in_again()
