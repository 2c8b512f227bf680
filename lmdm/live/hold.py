"""Keeps sound going when the engine gives none: the last bars loop, joined without a click.

Joins need no look-ahead: where one piece of sound takes over from another, the step between the two
is added to the new piece and decays within 20 ms, so the waveform is continuous.

    >>> hold = Hold(loop_samples=4)
    >>> fresh = np.arange(8, dtype=np.float32).reshape(4, 2)
    >>> bool((hold.next(4, fresh) == fresh).all()), hold.held
    (True, 0)
    >>> hold.next(4, fresh[:0]).shape, hold.held
    ((4, 2), 4)
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 44100
JOIN_SAMPLES = SAMPLE_RATE * 20 // 1000
FADE_AFTER = 16 * SAMPLE_RATE  # a loop this long begins to fade
FADE_SAMPLES = 8 * SAMPLE_RATE


class Hold:
    """Passes fresh sound through and loops the last `loop_samples` of it while there is none.

    After 16 s of looping the loop fades to silence over 8 s. The output depends only on the fresh
    samples and on where they were missing, so a replayed take holds exactly as the take did.
    """

    def __init__(self, loop_samples: int, channels: int = 2) -> None:
        self.held = 0  # samples looped since fresh sound was last there
        self._memory = np.zeros((loop_samples + JOIN_SAMPLES, channels), np.float32)  # circular
        self._written = 0  # fresh samples ever
        self._looped = np.zeros((1, channels), np.float32)
        self._last = np.zeros(channels, np.float32)  # last sample given out
        self._step = np.zeros(channels, np.float32)  # what the present join still has to decay
        self._joined = JOIN_SAMPLES  # samples since the present join

    def next(self, count: int, fresh: np.ndarray) -> np.ndarray:
        """The next `count` samples [count, channels]: all of `fresh`, then the loop."""
        pieces = []
        if len(fresh):
            if self.held:
                self._join(fresh[0])
                self.held = 0
            pieces.append(self._declicked(fresh))
            self._remember(fresh)
        missing = count - len(fresh)
        if missing > 0:
            if not self.held:
                self._looped = self._loop()
                self._join(self._looped[0])
            places = self.held + np.arange(missing)
            gain = np.clip(1.0 - (places - FADE_AFTER) / FADE_SAMPLES, 0.0, 1.0)
            loop = self._looped[places % len(self._looped)] * gain[:, None].astype(np.float32)
            pieces.append(self._declicked(loop))
            self.held += missing
        return np.concatenate(pieces) if len(pieces) != 1 else pieces[0]

    def _remember(self, fresh: np.ndarray) -> None:
        newest = fresh[-len(self._memory) :]
        places = (self._written + len(fresh) - len(newest) + np.arange(len(newest))) % len(
            self._memory
        )
        self._memory[places] = newest
        self._written += len(fresh)

    def _loop(self) -> np.ndarray:
        """The newest samples, their end crossfaded into what came before their beginning."""
        if self._written >= len(self._memory):
            newest = np.roll(self._memory, -(self._written % len(self._memory)), axis=0)
        else:
            newest = self._memory[: self._written]
        if len(newest) < 2 * JOIN_SAMPLES:
            return np.zeros((1, self._memory.shape[1]), np.float32)
        before, loop = newest[:JOIN_SAMPLES], newest[JOIN_SAMPLES:].copy()
        rise = (np.arange(1, JOIN_SAMPLES + 1, dtype=np.float32) / JOIN_SAMPLES)[:, None]
        loop[-JOIN_SAMPLES:] += (before - loop[-JOIN_SAMPLES:]) * rise
        return loop

    def _join(self, first: np.ndarray) -> None:
        self._step = self._last - first
        self._joined = 0

    def _declicked(self, pcm: np.ndarray) -> np.ndarray:
        left = JOIN_SAMPLES - self._joined
        if left > 0:
            count = min(left, len(pcm))
            decay = 1.0 - (self._joined + np.arange(count, dtype=np.float32)) / JOIN_SAMPLES
            pcm = pcm.copy()
            pcm[:count] += self._step * (decay * decay)[:, None]
            self._joined += count
        if len(pcm):
            self._last = pcm[-1].copy()
        return pcm
