"""MIDI clock in: ticks, start, stop, continue and song position to a musical position and tempo.

    >>> clock = ClockInput()
    >>> clock.feed(Start(0.0))
    >>> for tick in range(49):
    ...     clock.feed(Clock(tick * 60 / 128 / 24))
    >>> clock.running, round(clock.bpm, 2), round(clock.beat(at=2 * 60 / 128), 3)
    (True, 128.0, 2.0)

A clock that was never started nor stopped counts as running, its first tick being the beat: some
boxes send nothing else.

Source: MIDI 1.0 Detailed Specification 4.2, "System Real Time Messages": 24 ticks a quarter note;
the first tick after Start is the first downbeat; a song position counts sixteenths.
"""

from __future__ import annotations

import threading

from audio_io.beat_filter import BeatFilter
from audio_io.midi_events import Clock, Continue, MidiEvent, SongPosition, Start, Stop

TICKS = 24  # a beat
LOCK_TICKS = 12  # half a beat gives a tempo to rely on
SILENCE_SECONDS = 0.5  # without a tick: the clock is gone (20 bpm ticks every 0.125 s)
JUMP_SECONDS = 0.1  # from Stop to Continue: so soon, the song has jumped and not stopped


class ClockInput:
    """Follows one MIDI clock.

    Threads: one thread feeds; everything may be asked from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._filter = BeatFilter()
        self._count = 0  # ticks since the beginning
        self._song_tick = 0  # of the next tick while the song runs, and where it stands otherwise
        self._offset = 0.0  # beats from the filter's position to the song's
        self._running, self._starting = True, False
        self._jumps = False  # whether it ran until it was told to start, and so runs on till then
        self._stopped_at = float("-inf")
        self._last_tick = float("-inf")
        self.starts = 0  # times the song began to run: a follower takes its position over at once

    def feed(self, event: MidiEvent) -> None:
        """Takes an event; what is no part of a clock is passed over."""
        with self._lock:
            match event:
                case Clock():
                    self._tick(event.time)
                case Start():
                    self._song_tick = 0
                    self._start(event.time)
                case Continue():
                    self._start(event.time)
                case Stop():
                    if self.running:
                        self._stopped_at = event.time
                    self._running = self._starting = False
                case SongPosition(sixteenths=sixteenths):
                    self._song_tick = sixteenths * TICKS // 4
                    if self._running:
                        self._start(event.time)

    def _start(self, at: float) -> None:
        """The next tick is the song's next. A sequencer that loops stops, moves and goes on."""
        self._jumps = self.running or at - self._stopped_at < JUMP_SECONDS
        self._running = self._starting = True

    def _tick(self, at: float) -> None:
        beat = self._count / TICKS
        if self._starting and self._filter.bpm > 0.0:
            self._filter.move(beat, at)  # a clock that starts need not keep its former phase
        else:
            self._filter.observe(beat, at)
        if self._starting:
            self._starting = False
            self.starts += 1
            self._offset = self._song_tick / TICKS - beat
        self._count += 1
        self._song_tick += self._running
        self._last_tick = at

    @property
    def running(self) -> bool:
        """Whether the song runs: started or continued, and not stopped.

        Where it jumps, it runs on where it was until the tick that is elsewhere.
        """
        return self._running and (self._jumps or not self._starting)

    @property
    def bpm(self) -> float:
        """Tempo in beats a minute; 0 before the first ticks."""
        return self._filter.bpm

    @property
    def jitter_ms(self) -> float:
        """How much the ticks shake, ms (1 sigma)."""
        return 1000.0 * self._filter.jitter

    def locked(self, at: float) -> bool:
        """Whether ticks come at the time `at`, and enough have come to know the tempo."""
        return self._filter.ticks >= LOCK_TICKS and at - self._last_tick < SILENCE_SECONDS

    def beat(self, at: float) -> float:
        """The song's position in beats at a time in s (while stopped: where it stands)."""
        with self._lock:
            if not self.running:
                return self._song_tick / TICKS
            return self._filter.beat(at) + self._offset
