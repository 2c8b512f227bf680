"""What is heard when the source runs dry: a fade instead of a click.

When frames are missing, the last milliseconds are mirrored in time (the mirror continues the
waveform without a jump) and faded out; when the source is back, it is faded in over the rest of
that tail.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]

FADE_SECONDS = 0.015


class Concealment:
    """Wraps `read(n) -> pcm [m <= n, channels]` so that it always delivers n frames.

    Silence before the first frame is waiting, not starvation. `starvations` counts the times the
    source ran dry after that, `starved_frames` the frames that were made up.
    """

    def __init__(self, read: Callable[[int], Audio], rate: int, channels: int) -> None:
        """`rate` is the source's, samples a second."""
        self._read = read
        self._fade = max(2, round(rate * FADE_SECONDS))
        self._recent: Audio = np.zeros((self._fade, channels), np.float32)
        self._tail: Audio = np.zeros((0, channels), np.float32)
        self._fade_in = 0  # samples of fade-in still to come
        self._channels = channels
        self.started = False
        self.starving = False
        self.starvations = 0
        self.starved_frames = 0

    def take_available(self, count: int) -> Audio:
        """Up to `count` frames of the source, faded in after a gap; never made up."""
        pcm = np.asarray(self._read(count), dtype=np.float32)
        if len(pcm) == 0:
            return pcm
        if not self.started or self.starving:
            self._fade_in = self._fade
        self.started, self.starving = True, False
        if self._fade_in or len(self._tail):
            pcm = pcm.copy()
            rising = min(self._fade_in, len(pcm))
            done = self._fade - self._fade_in
            ramp = (np.arange(done + 1, done + rising + 1) / self._fade)[:, None]
            pcm[:rising] *= ramp.astype(np.float32)
            self._fade_in -= rising
            falling = min(len(self._tail), len(pcm))
            pcm[:falling] += self._tail[:falling]
            self._tail = self._tail[falling:]
        self._remember(pcm)
        return pcm

    def make_up(self, count: int) -> Audio:
        """`count` frames in place of missing ones: the rest of the tail, then silence."""
        if self.started and not self.starving:
            self.starving = True
            self.starvations += 1
            falling = np.linspace(1.0, 0.0, self._fade + 1, dtype=np.float32)[1:, None]
            self._tail = self._recent[::-1] * falling  # whatever tail was left is in it already
        if self.started:
            self.starved_frames += count
        pcm = np.zeros((count, self._channels), np.float32)
        falling_frames = min(len(self._tail), count)
        pcm[:falling_frames] = self._tail[:falling_frames]
        self._tail = self._tail[falling_frames:]
        self._remember(pcm)
        return pcm

    def fade_in_again(self) -> None:
        """Fades the source in from silence, as after a gap, e.g. on a new device."""
        self._fade_in = self._fade
        self._tail = self._tail[:0]

    def _remember(self, pcm: Audio) -> None:
        self._recent = np.concatenate((self._recent, pcm))[-self._fade :]
