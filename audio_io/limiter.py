"""The last stage before the sound card: whatever comes in, what goes out is finite and bounded.

For each sample the gain that would bring it to the ceiling is known; the minimum over the
look-ahead, a release at constant dB a second, and a moving average over the same look-ahead make
from it a smooth gain that has arrived when the peak does. A moving average of values that are all
at most the needed gain is at most the needed gain, so the ceiling holds by construction; the final
clip only takes off rounding. NaN and infinity count as 0. A stream in pieces of any size gives the
same result as in one go.

    >>> limiter = Limiter(LimiterConfig(rate=48000), channels=2)
    >>> loud = 4 * np.ones((4800, 2), np.float32)
    >>> bool(abs(limiter.process(loud)).max() <= limiter.ceiling)
    True
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_io.dc_block import finite

Audio = NDArray[np.float32]
Samples = NDArray[np.float64]

_PIECE = 2048  # samples handled at once


@dataclass(frozen=True)
class LimiterConfig:
    """Settings of the output limiter."""

    rate: int = 44100  # samples a second
    ceiling_db: float = -1.0  # dBFS, never exceeded
    lookahead_ms: float = 2.0  # delay of the limiter, and the time in which it turns down
    release_db_per_second: float = 60.0  # how fast it turns up again


@dataclass(frozen=True)
class LimiterState:
    """All that the limiter remembers; arrays are never written to, so a state may be kept."""

    needed_db: Samples  # [lookahead] the last needed gains
    released: Samples  # [lookahead] the last reductions (1 - gain) before averaging
    release_db: float  # last gain after the release stage, dB
    delayed: Samples  # [lookahead, channels] input not yet put out


class Limiter:
    """Look-ahead limiter for frames [n, channels]."""

    def __init__(self, config: LimiterConfig, channels: int = 2) -> None:
        """Starts silent: the first `latency` output samples are 0."""
        self.config = config
        self.channels = channels
        self.ceiling = float(np.float32(10.0 ** (config.ceiling_db / 20.0)))
        self.latency = max(1, round(config.rate * config.lookahead_ms / 1000.0))
        self.reduction_db = 0.0  # deepest gain reduction in the last `process`, >= 0
        self._release_step = config.release_db_per_second / config.rate
        self.state = LimiterState(
            needed_db=np.zeros(self.latency),
            released=np.zeros(self.latency),
            release_db=0.0,
            delayed=np.zeros((self.latency, channels)),
        )

    def process(self, pcm: Audio) -> Audio:
        """Limits frames [n, channels] of any values; returns [n, channels], `latency` late."""
        self.reduction_db = 0.0
        pieces = [self._piece(pcm[at : at + _PIECE]) for at in range(0, len(pcm), _PIECE)]
        return np.concatenate(pieces) if pieces else np.empty((0, self.channels), np.float32)

    def _piece(self, pcm: Audio) -> Audio:
        audio = finite(pcm)
        state, count = self.state, len(audio)

        peak = np.abs(audio).max(axis=1)
        needed_db = -20.0 * np.log10(np.maximum(peak / self.ceiling, 1.0))
        needed = np.concatenate((state.needed_db, needed_db))
        lowest = _sliding_minimum(needed, self.latency + 1)
        # r[n] = min(lowest[n], r[n-1] + step), in closed form: a running minimum on a slope.
        slope = self._release_step * np.arange(1, count + 1)
        released_db = slope + np.minimum(np.minimum.accumulate(lowest - slope), state.release_db)
        # Averaging the reduction 1 - gain instead of the gain keeps silence of the limiter exact.
        reduction = np.concatenate((state.released, 1.0 - 10.0 ** (released_db / 20.0)))
        total = np.concatenate(([0.0], np.cumsum(reduction)))
        window = self.latency + 1
        gain = 1.0 - (total[window:] - total[:-window]) / window

        line = np.concatenate((state.delayed, audio))
        self.reduction_db = max(self.reduction_db, -float(released_db.min()))
        self.state = LimiterState(
            needed_db=needed[count:],
            released=reduction[count:],
            release_db=float(released_db[-1]),
            delayed=line[count:],
        )
        limited = (line[:count] * gain[:, None]).astype(np.float32)
        return np.clip(limited, -self.ceiling, self.ceiling)


def _sliding_minimum(values: Samples, window: int) -> Samples:
    """Minimum of each `window` neighbours: [n] -> [n - window + 1], in log2(window) passes."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    rest = window - width
    return np.minimum(values[: len(values) - rest], values[rest:])
