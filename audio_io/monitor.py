"""Where a live input is heard: close behind the device, not behind all that waits for it.

What the source plays is rendered a whole buffer ahead of the device. A live input would come late
by all of that, so it is put into frames that are rendered already, as near to the device as its
pieces come evenly: the newest piece ends `margin` behind the first frame that can still be changed.
A piece that comes too late leaves a hole, and from then on the margin is as much longer. What of it
was not needed for half a minute or more is taken back, one frame of every piece at a time: too
little to be heard.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from audio_io.resampling import Resampler

Audio = NDArray[np.float32]
Live = Callable[[int], Audio]
Tell = Callable[[Audio, int], None]

MARGIN_SECONDS = 0.015  # the feeder comes each 8 ms, pieces of an input each 4
SPARE_SECONDS = 0.004  # a piece: how much longer than the lateness the margin becomes
MOST_SECONDS = 0.08  # further from the device than that, the input is taken up anew
CALM_SECONDS = 30.0  # a stretch; what was not needed in a whole one is taken back
LEAST_PIECE = 64  # frames of which one may be left out


class Monitor:
    """Gives the frames of a live input their places.

    Threads: none; the feeder owns it.
    """

    def __init__(self, from_rate: int, to_rate: int, channels: int) -> None:
        """Rates in Hz, of the live input and of the device."""
        self._from_rate, self._rate, self._channels = from_rate, to_rate, channels
        self._resampler = Resampler(from_rate, to_rate, channels)
        self._margin = self._usual = round(MARGIN_SECONDS * to_rate)
        self._most = round(MOST_SECONDS * to_rate)
        self._next: int | None = None  # place of the next frame
        self._nearest = self._most  # least that there was to spare, in the present stretch
        self._stretch = 0  # frames of the present stretch
        self._unneeded = 0  # frames of the margin that are taken back now

    def take(
        self, live: Live, tell: Tell, first: int, end: int, source_ahead: float
    ) -> tuple[int, Audio]:
        """What has come of the live input [n, channels], and the place of its first frame.

        Args:
            live: `live(count)` gives up to `count` frames that have come.
            tell: is called with them as they came, and how many frames before the next that will
                be pulled from the source the one lies beside which their first is heard.
            first: the first place that can still be changed.
            end: the place of the next frame to be rendered.
            source_ahead: seconds of the source that were pulled and are not rendered yet.
        """
        self._keep_up(first)
        pcm = np.asarray(live(round(MOST_SECONDS * self._from_rate)), np.float32)
        if not len(pcm):
            return first, np.zeros((0, self._channels), np.float32)
        if self._unneeded > 0 and len(pcm) >= LEAST_PIECE:
            pcm = shortened(pcm)
            self._unneeded -= 1
            self._margin -= 1
        held = self._resampler.held_seconds
        frames = self._resampler.process(np.ascontiguousarray(pcm[:, : self._channels]))
        newest_near = first + self._margin - len(frames)
        place = newest_near if self._next is None else self._next
        self._next = place + len(frames)
        self._count(len(frames))
        behind = (end - place) / self._rate + source_ahead - held
        tell(pcm, round(behind * self._from_rate))
        late = max(0, first - place)
        return place + late, frames[late : max(0, end - place)]

    def _keep_up(self, first: int) -> None:
        """Forgets a place that has become impossible."""
        if self._next is None:
            return
        spare = self._next - first
        if spare < 0:
            longer = round(SPARE_SECONDS * self._rate) - spare
            self._margin = min(self._most // 2, self._margin + longer)
            self._nearest = self._unneeded = 0
        self._nearest = min(self._nearest, max(0, spare))
        if not 0 <= spare <= self._most:
            self._next = None

    def _count(self, frames: int) -> None:
        """At the end of a stretch, what was never needed is no longer kept."""
        self._stretch += frames
        if self._stretch >= CALM_SECONDS * self._rate:
            spare = self._nearest - round(SPARE_SECONDS * self._rate)
            self._unneeded = max(0, min(spare, self._margin - self._usual))
            self._nearest, self._stretch = self._most, 0


def shortened(pcm: Audio) -> Audio:
    """Frames [n, channels] as n - 1: between the same first and last, each a little later."""
    places = np.linspace(0.0, len(pcm) - 1.0, len(pcm) - 1)
    before = np.minimum(places.astype(int), len(pcm) - 2)
    share = (places - before)[:, None].astype(np.float32)
    return np.asarray(pcm[before] + share * (pcm[before + 1] - pcm[before]), np.float32)
