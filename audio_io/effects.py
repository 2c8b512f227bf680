"""What the output does at once: level of the model's sound, filters, live input beside it, gain.

    source -> wet -> low-pass -> high-pass -> (+ live input * dry) -> gain

Every change is a 10 ms ramp or a crossfade. The whole state is a value that can be kept and
returned to, so that frames which wait for the device can be rendered anew.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from audio_io.filters import Filter, FilterState
from audio_io.gain import Fader, FaderState

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Settings:
    """Where the musician has set the effects; gains are linear factors."""

    gain: float = 1.0
    wet: float = 1.0  # of the source
    dry: float = 0.0  # of the live input
    low_pass: float | None = None  # Hz; None is open
    high_pass: float | None = None


@dataclass(frozen=True)
class EffectsState:
    """All that the effects remember."""

    faders: tuple[FaderState, FaderState, FaderState]
    filters: tuple[FilterState, FilterState]

    @property
    def hears_live(self) -> bool:
        """Whether the live input is not faded out."""
        return self.faders[1].current > 0.0 or self.faders[1].target > 0.0


class Effects:
    """The effects of one output, for frames [n, channels].

    Threads: none; the feeder owns it.
    """

    def __init__(self, rate: int, channels: int, settings: Settings) -> None:
        """Stands where `settings` say."""
        self._faders = (
            Fader(rate, settings.wet), Fader(rate, settings.dry), Fader(rate, settings.gain)
        )  # fmt: skip
        self._filters = (Filter("low", rate, channels), Filter("high", rate, channels))
        self.set(settings)

    def set(self, settings: Settings) -> None:
        """Moves to other settings from the next frame on."""
        for fader, level in zip(
            self._faders, (settings.wet, settings.dry, settings.gain), strict=True
        ):
            fader.set_gain(level)
        low, high = self._filters
        low.cutoff, high.cutoff = settings.low_pass, settings.high_pass

    @property
    def state(self) -> EffectsState:
        """Setting it returns to an earlier moment; `set` then says again what is wanted."""
        wet, dry, gain = self._faders
        low, high = self._filters
        return EffectsState((wet.state, dry.state, gain.state), (low.state, high.state))

    @state.setter
    def state(self, state: EffectsState) -> None:
        for fader, fader_state in zip(self._faders, state.faders, strict=True):
            fader.state = fader_state
        for each, filter_state in zip(self._filters, state.filters, strict=True):
            each.state = filter_state

    def process(self, pcm: Audio, live: Audio | None = None) -> Audio:
        """The sound of a piece of the source, and of the live input if there is one."""
        wet, dry, gain = self._faders
        low, high = self._filters
        sound = high.process(low.process(wet.process(pcm)))
        heard = dry.process(live if live is not None else np.zeros_like(pcm))
        if live is not None:
            sound = sound + heard
        return gain.process(sound)
