"""What came out of the instrument's port, recorded from a JACK cable, and when.

The recording is compared with the stream that the take's log gives again, so a sample of the stream
has a moment: that at which it was on the cable. Between the two lie the whole output, the device
and its cable, and whatever the machine did to them: an underrun moves what follows, so each place
is looked for by itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

ALIKE = 0.9  # correlation from which two stretches of sound are the same
SPANS = (0.25, 0.1)  # seconds of sound that are looked for, before a place or after it
NEAR, FAR = 0.03, 1.0  # how far from where the last one was, in seconds
QUIET = 10.0 ** (-60.0 / 20.0)  # RMS below which nothing can be told
MOVED = 0.25  # of the level: a fader is heard to move
WINDOW_SECONDS = 0.002  # over which that is judged
ENVELOPE_SECONDS = 0.5  # around a sample, of the pieces that date it


@dataclass
class Recording:
    """What was on the cable, with the moment each piece arrived.

    Threads: the capture thread calls `keep`; the rest is for after it has ended.
    """

    rate: int
    pieces: list[np.ndarray] = field(default_factory=list)
    arrivals: list[tuple[float, int]] = field(default_factory=list)  # (time, samples so far)
    samples: int = 0

    def keep(self, pcm: np.ndarray) -> int:
        """The sink of the capture."""
        self.pieces.append(pcm.copy())
        self.samples += len(pcm)
        self.arrivals.append((time.perf_counter(), self.samples))
        return len(pcm)

    def sound(self) -> np.ndarray:
        """The whole recording [n], mono."""
        mono: np.ndarray = np.concatenate(self.pieces).mean(axis=1)
        return mono

    def moments(self, samples: np.ndarray) -> np.ndarray:
        """When samples [n] were on the cable, as `time.perf_counter()` has it."""
        pieces = np.minimum(np.searchsorted(self.ends, samples, "right"), len(self.ends) - 1)
        times: np.ndarray = self.begun[pieces] + samples / self.rate
        return times

    @cached_property
    def ends(self) -> np.ndarray:
        """For every piece, how many samples there are up to its end."""
        return np.array([count for _, count in self.arrivals])

    @cached_property
    def begun(self) -> np.ndarray:
        """For every piece, the moment that sample 0 had: no piece arrives before it was there.

        The earliest of its neighbours counts; a period that the server lost moves all that follow.
        """
        from scipy.ndimage import minimum_filter1d

        times, counts = (np.array(each, np.float64) for each in zip(*self.arrivals, strict=True))
        spacing = (times[-1] - times[0]) / max(1, len(times) - 1)
        size = 2 * round(ENVELOPE_SECONDS / max(spacing, 1e-4)) + 1
        begun: np.ndarray = minimum_filter1d(times - counts / self.rate, size)
        return begun


class Cable:
    """A recording beside the stream that was sent into it.

    Threads: none.
    """

    def __init__(self, recording: Recording, heard: np.ndarray) -> None:
        """heard [m]: the stream, mono, 44.1 kHz."""
        import soxr

        self.rate, self._recording = recording.rate, recording
        self._sound = recording.sound()
        self._heard = soxr.resample(heard.astype(np.float32), 44100, self.rate, quality="VHQ")
        self._offset = self._first_offset()

    def _first_offset(self) -> int:
        """Where the sound begins on the cable, roughly."""
        sounds = np.abs(self._sound) > QUIET
        begins = np.abs(self._heard) > QUIET
        return int(np.argmax(sounds)) - int(np.argmax(begins))

    def time(self, sample: int) -> float:
        """When a sample of the recording was on the cable, as `time.perf_counter()` has it."""
        return float(self._recording.moments(np.array([sample]))[0])

    def sample(self, moment: float) -> int:
        """The sample of the recording that was on the cable at a moment."""
        begun = self._recording.begun
        starts = begun + self._recording.ends / self.rate
        piece = min(int(np.searchsorted(starts, moment)), len(starts) - 1)
        return round((moment - float(begun[piece])) * self.rate)

    def place(self, position: int) -> int | None:
        """The sample of the recording that holds a heard position; None where it is not found.

        Positions must not fall by much: each is looked for near the one before.
        """
        at = round(position * self.rate / 44100)
        for reach in (NEAR, FAR):
            for span in SPANS:
                length = round(span * self.rate)
                for start in (at - length, at):
                    offset = self._found(start, length, round(reach * self.rate))
                    if offset is not None:
                        self._offset = offset
                        return at + offset
        return None

    def _found(self, start: int, length: int, reach: int) -> int | None:
        """How far the cable lies behind a stretch of the stream; None where it is not there."""
        from scipy.signal import fftconvolve

        wanted = self._heard[max(0, start) : start + length]
        low = start + self._offset - reach
        within = self._sound[max(0, low) : low + length + 2 * reach]
        loud = np.sqrt(np.mean(np.square(wanted))) if len(wanted) else 0.0
        if start < 0 or len(within) < length or loud < QUIET:
            return None
        products = fftconvolve(within, wanted[::-1], mode="valid")
        energy = fftconvolve(np.square(within), np.ones(length), mode="valid")
        likeness = products / np.sqrt(np.maximum(energy, 1e-9) * np.square(wanted).sum() + 1e-12)
        best = int(np.argmax(likeness))
        return max(0, low) + best - start if likeness[best] >= ALIKE else None

    def level_moved(self, sent: float) -> float | None:
        """The moment at which the level changed after a fader was moved; None where all is quiet.

        The sound after the move is compared with the stream at the level from before the move; if
        it differed before, a gap has displaced it, and nothing can be told.
        """
        here, window = self.sample(sent), round(WINDOW_SECONDS * self.rate)
        past = round(0.1 * self.rate)
        stream = here - self._offset
        if self.place(round((stream - past) * 44100 / self.rate)) is not None:
            stream = here - self._offset
        around = self._heard[stream - past : stream + 2 * past]
        sound, before = self._sound[here - past : here + 2 * past], around[:past]
        if len(around) < 3 * past or len(sound) < 3 * past or not (before @ before):
            return None
        gain = abs(float(before @ sound[:past])) / float(before @ before)
        gain = gain if gain > 0.01 else 0.0  # it was silent
        level, heard = _rms(sound, window), _rms(around, window)
        moved = np.abs(level - gain * heard) > MOVED * max(gain, 0.25) * heard
        moved &= heard > QUIET
        if moved[: past - window].any() or not moved.any():
            return None
        return self.time(here - past + int(np.argmax(moved)))


def _rms(sound: np.ndarray, window: int) -> np.ndarray:
    """The level [n - window + 1] over windows that begin at each sample."""
    squares = np.convolve(np.square(sound), np.ones(window) / window, mode="valid")
    level: np.ndarray = np.sqrt(np.maximum(squares, 0.0))
    return level
