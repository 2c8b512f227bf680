"""The last stage before the sound card: whatever comes in, what goes out is finite and bounded.

Three steps, streamed in pieces of any size with the same result as in one go:

1. NaN and infinity become 0.
2. A first-order high-pass takes out DC, which would eat headroom and click on every mute.
3. A look-ahead limiter. For each sample the gain that would bring it to the ceiling is known; the
   minimum over the look-ahead, a release at constant dB a second, and a moving average over the
   same look-ahead make from it a smooth gain that has arrived when the peak does. A moving average
   of values that are all at most the needed gain is at most the needed gain, so the ceiling holds
   by construction; the final clip only takes off rounding.

    >>> limiter = Limiter(LimiterConfig(rate=48000), channels=2)
    >>> loud = 4 * np.ones((4800, 2), np.float32)
    >>> bool(abs(limiter.process(loud)).max() <= limiter.ceiling)
    True
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Samples = NDArray[np.float64]

_PIECE = 2048  # samples handled at once; bounds the exponent in the closed-form recursions
_LARGEST = 1e6  # +120 dBFS; finite but absurd input is clipped here so that no product overflows


@dataclass(frozen=True)
class LimiterConfig:
    """Settings of the output limiter."""

    rate: int = 44100  # samples a second
    ceiling_db: float = -1.0  # dBFS, never exceeded
    lookahead_ms: float = 2.0  # delay of the limiter, and the time in which it turns down
    release_db_per_second: float = 60.0  # how fast it turns up again
    dc_cutoff_hz: float = 3.0  # corner of the DC block; 0 switches it off


@dataclass(frozen=True)
class LimiterState:
    """All that the limiter remembers; arrays are never written to, so a state may be kept."""

    needed_db: Samples  # [lookahead] the last needed gains
    released: Samples  # [lookahead] the last reductions (1 - gain) before averaging
    release_db: float  # last gain after the release stage, dB
    delayed: Samples  # [lookahead, channels] input not yet put out
    dc_input: Samples  # [channels] last input of the DC block
    dc_output: Samples  # [channels] last output of the DC block


class Limiter:
    """NaN guard, DC block and look-ahead limiter for frames [n, channels]."""

    def __init__(self, config: LimiterConfig, channels: int = 2) -> None:
        """Starts silent: the first `latency` output samples are 0."""
        self.config = config
        self.channels = channels
        self.ceiling = float(np.float32(10.0 ** (config.ceiling_db / 20.0)))
        self.latency = max(1, round(config.rate * config.lookahead_ms / 1000.0))
        self.reduction_db = 0.0  # deepest gain reduction in the last `process`, >= 0
        self._release_step = config.release_db_per_second / config.rate
        self._dc_decay = float(np.exp(-2.0 * np.pi * config.dc_cutoff_hz / config.rate))
        self.state = LimiterState(
            needed_db=np.zeros(self.latency),
            released=np.zeros(self.latency),
            release_db=0.0,
            delayed=np.zeros((self.latency, channels)),
            dc_input=np.zeros(channels),
            dc_output=np.zeros(channels),
        )

    def process(self, pcm: Audio) -> Audio:
        """Limits frames [n, channels] of any values; returns [n, channels], `latency` late."""
        self.reduction_db = 0.0
        pieces = [self._piece(pcm[at : at + _PIECE]) for at in range(0, len(pcm), _PIECE)]
        return np.concatenate(pieces) if pieces else np.empty((0, self.channels), np.float32)

    def _piece(self, pcm: Audio) -> Audio:
        finite = np.nan_to_num(pcm.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
        audio, dc_input, dc_output = self._block_dc(np.clip(finite, -_LARGEST, _LARGEST))
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
            dc_input=dc_input,
            dc_output=dc_output,
        )
        limited = (line[:count] * gain[:, None]).astype(np.float32)
        return np.clip(limited, -self.ceiling, self.ceiling)

    def _block_dc(self, audio: Samples) -> tuple[Samples, Samples, Samples]:
        """y[n] = x[n] - x[n-1] + a y[n-1], as a cumulative sum weighted by powers of a."""
        if self.config.dc_cutoff_hz <= 0.0:
            return audio, self.state.dc_input, self.state.dc_output
        change = np.diff(audio, axis=0, prepend=self.state.dc_input[None])
        powers = self._dc_decay ** np.arange(1, len(audio) + 1)[:, None]
        output = powers * (self.state.dc_output + np.cumsum(change / powers, axis=0))
        return output, audio[-1], output[-1]


def _sliding_minimum(values: Samples, window: int) -> Samples:
    """Minimum of each `window` neighbours: [n] -> [n - window + 1], in log2(window) passes."""
    width = 1
    while 2 * width <= window:
        values = np.minimum(values[:-width], values[width:])
        width *= 2
    rest = window - width
    return np.minimum(values[: len(values) - rest], values[rest:])
