"""Where the beat is, from ticks that come early and late: a Kalman filter over tick times.

The state is the musical position and its rate, x = (beats, beats a second); between ticks it moves
on a straight line whose slope wanders (white acceleration of spectral density q). A tick says "this
is beat n/24" at a time that the cable, the driver and the scheduler have shaken by some
milliseconds. The filter estimates that shake from its own surprises, so a steady clock is followed
tightly and a ragged one calmly; a clock that changes tempo at once is recognised by several
surprises of one sign and followed within a fraction of a beat.

    >>> beats = BeatFilter()
    >>> for tick in range(48):
    ...     beats.observe(tick / 24, at=tick * 0.5 / 24)
    >>> round(beats.bpm, 3), round(beats.beat(at=1.0), 3)
    (120.0, 2.0)

Source: Kalman (1960); the model is the "continuous white noise acceleration" of Bar-Shalom, Li and
Kirubarajan, Estimation with Applications to Tracking and Navigation (2001), section 6.2.2.
"""

from __future__ import annotations

import math

LOWEST_BPM, HIGHEST_BPM = 20.0, 400.0
ACCELERATION = 0.0003  # q, (beats/s^2)^2 a Hz: 120 bpm may wander by 0.7 bpm in a beat, at 1 sigma
LEAST_JITTER, MOST_JITTER = 0.0003, 0.008  # s, of a tick's arrival, 1 sigma
FIRST_JITTER = 0.002
SURPRISE = 3.5  # sigmas beyond which a tick is an outlier, or the tempo has jumped
PATIENCE = 4  # surprises of one sign in a row, then the filter begins anew from what it knows
GAP_SECONDS = 1.0  # without a tick: the clock was away


class BeatFilter:
    """Follows ticks; says where the beat is at any time near now.

    Threads: none; the owner locks.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forgets everything; two ticks give a new tempo."""
        self._at: float | None = None  # time of the state, s
        self._beats = 0.0
        self._rate = 0.0  # beats a second; 0: unknown
        self._covariance = (0.0, 0.0, 0.0)  # of beats, of both, of rate
        self._jitter = FIRST_JITTER
        self._surprises = 0
        self.ticks = 0  # that the estimate rests on

    @property
    def bpm(self) -> float:
        """The tempo in beats a minute; 0 while it is unknown."""
        return 60.0 * self._rate

    @property
    def jitter(self) -> float:
        """The estimated shake of a tick, s (1 sigma)."""
        return self._jitter

    def beat(self, at: float) -> float:
        """The musical position at a time in s."""
        return self._beats + self._rate * (at - (self._at if self._at is not None else at))

    def move(self, beat: float, at: float) -> None:
        """The music is at `beat` from now on, whatever it was; what is known of the tempo stays."""
        self._beats, self._at = beat, at
        self._covariance = ((self._rate * self._jitter) ** 2, 0.0, self._covariance[2])
        self._surprises = 0

    def observe(self, beat: float, at: float) -> None:
        """A tick: the music is at `beat` at the time `at`, s. Times must not fall."""
        if self._at is None:
            self._at, self._beats = at, beat
            self.ticks = 1
            return
        elapsed = at - self._at
        if elapsed > GAP_SECONDS or not math.isfinite(elapsed):
            self.reset()
            self.observe(beat, at)
            return
        if self._rate == 0.0:
            self._begin(beat, at, elapsed)
            return
        self._predict(max(0.0, elapsed))
        self._at = max(at, self._at)
        self._correct(beat)
        self.ticks += 1

    def _begin(self, beat: float, at: float, elapsed: float) -> None:
        """The first tempo, from two ticks; impossible pairs are passed over."""
        if elapsed <= 0.0 or beat <= self._beats:
            return
        rate = (beat - self._beats) / elapsed
        if LOWEST_BPM <= 60.0 * rate <= HIGHEST_BPM:
            shake = (rate * FIRST_JITTER) ** 2
            self._rate = rate
            self._covariance = (shake, shake / elapsed, 2.0 * shake / elapsed**2)
        self._at, self._beats = at, beat
        self.ticks = 2

    def _predict(self, elapsed: float) -> None:
        a, b, c = self._covariance
        q = ACCELERATION
        self._beats += self._rate * elapsed
        self._covariance = (
            a + elapsed * (2.0 * b + elapsed * c) + q * elapsed**3 / 3.0,
            b + elapsed * c + q * elapsed**2 / 2.0,
            c + q * elapsed,
        )

    def _correct(self, beat: float) -> None:
        a, b, c = self._covariance
        surprise = beat - self._beats
        shake = (self._rate * self._jitter) ** 2
        sigmas = surprise / math.sqrt(a + shake)
        if abs(sigmas) > SURPRISE:
            self._surprises += 1 if sigmas > 0 else -1
            if abs(self._surprises) >= PATIENCE:  # not the cable: the music itself has moved
                self._surprises = 0
                a, c = a + surprise**2, c + (4.0 * surprise) ** 2
            else:
                surprise *= SURPRISE / abs(sigmas)
        else:
            self._surprises = 0
            share = 0.02  # of the newest surprise in the estimate of the shake
            variance = max(0.0, surprise**2 - a) / self._rate**2
            variance = (1.0 - share) * self._jitter**2 + share * variance
            self._jitter = min(MOST_JITTER, max(LEAST_JITTER, math.sqrt(variance)))
        total = a + shake
        to_beats, to_rate = a / total, b / total
        self._beats += to_beats * surprise
        rate = self._rate + to_rate * surprise
        self._rate = min(HIGHEST_BPM, max(LOWEST_BPM, 60.0 * rate)) / 60.0
        self._covariance = ((1.0 - to_beats) * a, (1.0 - to_beats) * b, c - to_rate * b)
