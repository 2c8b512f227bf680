"""Keeps the session's musical clock on another one: MIDI clock or Ableton Link.

The other clock is a line whose slope changes, and so is ours; ours is corrected only when the two
would drift audibly apart, because a correction makes the engine generate anew what it has made
ahead. The message says where the beat is at the sound heard now, so the lag of buffers and of the
engine's lead is not heard.
"""

from __future__ import annotations

from typing import Protocol

from lmdm.live.messages import Message, Pause, Play, SetClock, SetTempo

TOLERANCE_SECONDS = 0.004  # the two clocks may lie so far apart
AHEAD_SECONDS = 0.6  # they are compared there: sound on its way to the ear is past correcting
LEAST_INTERVAL = 0.15  # seconds between corrections
SLIP_SECONDS = 0.008  # what is heard may lie so far from the clock, once a correction has settled
SETTLED_SECONDS = 1.5  # after a correction it is heard
SLIPS = 5  # looks in a row that must agree: the position of what is heard is known to some ms
TEMPO_TOLERANCE = 0.4  # bpm, while the other song does not run
HIGHEST_BEAT = 1e7


class Clock(Protocol):
    """What can be followed; times are `time.perf_counter()` seconds."""

    @property
    def bpm(self) -> float:
        """Tempo, beats a minute; 0 while unknown."""

    @property
    def running(self) -> bool:
        """Whether its song runs."""

    @property
    def starts(self) -> int:
        """How often its song began to run or jumped."""

    def locked(self, at: float) -> bool:
        """Whether it can be relied on now."""

    def beat(self, at: float) -> float:
        """Its position in beats."""


class ClockFollower:
    """Says which messages keep us on a clock.

    Threads: none; the owner calls `due` some ten times a second.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._line: tuple[float, float, float] | None = None  # time, beat, bpm as last sent
        self._starts = clock.starts
        self._ran: bool | None = None
        self._locked_at: float | None = None
        self._slips = 0

    def text(self, now: float) -> str:
        """What the clock does, in a few words."""
        if self._clock.locked(now):
            if not self._clock.running:
                return f"stopped, {self._clock.bpm:.1f} bpm"
            return f"following {self._clock.bpm:.1f} bpm"
        if self._locked_at is None:
            return "waiting for a clock"
        return f"no clock for {now - self._locked_at:.0f} s; the tempo goes on"

    def due(self, now: float, heard: float | None = None) -> list[Message]:
        """What to send now. `heard`: the beat that is heard at this moment, if it is known."""
        clock = self._clock
        if not clock.locked(now):
            return []
        self._locked_at = now
        asked: list[Message] = []
        running = clock.running
        if self._ran is not None and running != self._ran:
            asked.append(Play() if running else Pause())
        self._ran = running
        correction = self._correction(now, heard) if running else self._tempo(now)
        return [*asked, correction] if correction is not None else asked

    def _correction(self, now: float, heard: float | None) -> Message | None:
        clock, line = self._clock, self._line
        beat = clock.beat(now)
        if not 0.0 <= beat <= HIGHEST_BEAT:
            return None
        if line is not None and clock.starts == self._starts:
            ours = line[1] + (now + AHEAD_SECONDS - line[0]) * line[2] / 60.0
            apart = (clock.beat(now + AHEAD_SECONDS) - ours) * 60.0 / clock.bpm
            close = abs(apart) < TOLERANCE_SECONDS and not self._slipped(now, beat, heard)
            if close or now - line[0] < LEAST_INTERVAL:
                return None
        self._line, self._starts = (now, beat, clock.bpm), clock.starts
        return SetClock(round(clock.bpm, 4), beat)

    def _slipped(self, now: float, beat: float, heard: float | None) -> bool:
        """Whether what is heard has been elsewhere for some looks, though nothing is on its way."""
        assert self._line is not None
        apart = 0.0 if heard is None else (beat - heard) * 60.0 / self._clock.bpm
        settled = now - self._line[0] >= SETTLED_SECONDS
        self._slips = self._slips + 1 if settled and abs(apart) > SLIP_SECONDS else 0
        return self._slips >= SLIPS

    def _tempo(self, now: float) -> Message | None:
        bpm, line = self._clock.bpm, self._line
        if line is not None and (
            abs(line[2] - bpm) < TEMPO_TOLERANCE or now - line[0] < LEAST_INTERVAL
        ):
            return None
        self._line = (now, 0.0, bpm)
        self._starts = -1  # its position is taken over as soon as it runs
        return SetTempo(round(bpm, 2))
