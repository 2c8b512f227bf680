"""Play a performance with FluidSynth, stem by stem, mix it, and divide the band in two."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import NamedTuple

import fluidsynth
import numpy as np
from numpy.typing import NDArray

from lmdm.errors import InputError
from training.recipes.starter.palette import DRUM_BANK, Instrument
from training.recipes.starter.score import Performance

SAMPLE_RATE = 44100
BLOCK_SAMPLES = 64  # FluidSynth starts notes at multiples of its internal block
# A note asked for before sample k sounds this many samples later (measured with `measured_latency`
# on clicks of the standard kit); event times are moved earlier by it.
LATENCY_SAMPLES = 88
SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")
PEAK_CEILING = 10 ** (-1.0 / 20)
RMS_RANGE_DB = (-24.0, -14.0)
ONE_STEM = 0.6  # share of divisions in which the musician plays one stem
SILENT_POWER = 1e-6

Audio = NDArray[np.float32]


class Sampler:
    """Plays one stem at a time with FluidSynth, offline; the same notes give the same samples.

    Threads: one thread only; each process of a corpus run owns its own.
    """

    def __init__(self, soundfont: Path = SOUNDFONT) -> None:
        if not soundfont.is_file():
            raise InputError(
                f"soundfont {soundfont} is missing: install fluid-soundfont-gm or "
                "musescore-general-soundfont-lossless"
            )
        self.soundfont = soundfont
        self._write = fluidsynth._fl.fluid_synth_write_float
        pointer, number = ctypes.c_void_p, ctypes.c_int
        self._write.argtypes = [pointer, number, pointer, number, number, pointer, number, number]
        self._write.restype = number

    def _synthesiser(self) -> tuple[fluidsynth.Synth, int]:
        synth = fluidsynth.Synth(gain=0.4, samplerate=float(SAMPLE_RATE), channels=16)
        synth.setting("synth.chorus.active", 0)
        synth.setting("synth.polyphony", 160)
        synth.setting("synth.dynamic-sample-loading", 1)  # only of the program that is played
        return synth, synth.sfload(str(self.soundfont))

    def play(
        self,
        notes: NDArray[np.float32],
        instrument: Instrument,
        seconds: float,
        reverb: int,
        room: float,
    ) -> Audio:
        """Notes [n,≥4] (onset s, offset s, pitch, velocity) → audio [2, samples], not normalised.

        reverb: send level 0–127; room: size 0–1.
        """
        # A used synthesiser carries release tails, reverb and a begun block into the next stem:
        # system_reset of FluidSynth 2.3 clears none of them.
        synth, font = self._synthesiser()
        try:
            synth.set_reverb(roomsize=room, damping=0.3, width=0.8, level=0.7)
            bank = DRUM_BANK if instrument.is_drum else 0
            synth.program_select(0, font, bank, instrument.program)
            synth.cc(0, 91, reverb)
            return self._played(synth, notes, round(seconds * SAMPLE_RATE))
        finally:
            synth.delete()

    def _played(self, synth: fluidsynth.Synth, notes: NDArray[np.float32], total: int) -> Audio:
        audio = np.zeros((2, total + BLOCK_SAMPLES), dtype=np.float32)
        events = [(self._sample(off), 0, int(pitch), 0) for _, off, pitch, _ in notes[:, :4]]
        events += [(self._sample(on), 1, int(p), int(v)) for on, _, p, v in notes[:, :4]]
        position = 0
        for sample, _, pitch, velocity in sorted(events):
            sample = min(sample, total)
            self._fill(synth, audio, position, sample)
            position = max(position, sample)
            if velocity:
                synth.noteon(0, pitch, velocity)
            else:
                synth.noteoff(0, pitch)
        self._fill(synth, audio, position, total)
        return audio[:, :total]

    @staticmethod
    def _sample(seconds: float) -> int:
        sample = max(0.0, seconds * SAMPLE_RATE - LATENCY_SAMPLES)
        return round(sample / BLOCK_SAMPLES) * BLOCK_SAMPLES

    def _fill(self, synth: fluidsynth.Synth, audio: Audio, start: int, stop: int) -> None:
        if stop <= start:
            return
        left, right = (audio[side].ctypes.data_as(ctypes.c_void_p) for side in (0, 1))
        self._write(synth.synth, stop - start, left, start, 1, right, start, 1)


def balanced(audio: Audio, pan: float, level_db: float) -> Audio:
    """A stem at a given active loudness (dB RMS over its non-silent part) and pan −1…1."""
    frames = audio[:, : audio.shape[1] // 2048 * 2048].reshape(2, -1, 2048)
    power = (frames**2).mean(axis=(0, 2))
    active = power[power > 1e-7]
    if not len(active):
        return audio
    # The square root of the median is steadier than the mean for sparse parts.
    loudness = 0.5 * float(np.sqrt(active.mean())) + 0.5 * float(np.sqrt(np.median(active)))
    gain = 10 ** (level_db / 20) * 0.1 / max(loudness, 1e-3)
    sides = np.asarray([[min(1.0, 1.0 - pan)], [min(1.0, 1.0 + pan)]], dtype=np.float32)
    return np.asarray(audio * (gain * sides), dtype=np.float32)


class Mix(NamedTuple):
    """whole: [2, samples]. stems: the same of each instrument at its gain in it, not limited."""

    whole: Audio
    stems: list[Audio]


def mixed(performance: Performance, sampler: Sampler, generator: np.random.Generator) -> Mix:
    """A performance → its stereo mix at 44.1 kHz, peak ≤ −1 dBFS, RMS −24…−14 dBFS.

    Gain, pan and reverb of each stem are drawn from `generator`. The peak ceiling outranks the RMS.
    """
    total = round(performance.seconds * SAMPLE_RATE)
    mix = np.zeros((2, total), dtype=np.float32)
    stems = [np.zeros_like(mix) for _ in performance.instruments]
    room = float(generator.uniform(0.15, 0.85))
    wetness = float(generator.uniform(0.2, 1.0))
    for stem, instrument in enumerate(performance.instruments):
        notes = performance.notes[performance.notes[:, 4] == stem]
        level = performance.levels_db[stem] + float(generator.normal(0.0, 1.8))
        low = instrument.family in ("bass", "drums")
        send = int(wetness * generator.uniform(5, 30 if low else 90))
        pan = float(np.clip(generator.normal(0.0, 0.04 if low else 0.25), -0.6, 0.6))
        if not len(notes):
            continue
        audio = sampler.play(notes, instrument, performance.seconds, send, room)
        stems[stem] = balanced(audio, pan, level)
        mix += stems[stem]
    fade = int(0.3 * SAMPLE_RATE)
    fading = np.linspace(1.0, 0.0, fade, dtype=np.float32)
    for each in (mix, *stems):
        each[:, -fade:] *= fading
    rms = float(np.sqrt((mix**2).mean()))
    if rms < 1e-6:
        return Mix(mix, stems)
    gain = np.float32(10 ** (float(generator.uniform(*RMS_RANGE_DB)) / 20) / rms)
    return Mix(limited(mix * gain), [each * gain for each in stems])


class Division(NamedTuple):
    """A band in two: `played`, the stems (by index) that a musician plays, and the rest.

    played_sound, rest_sound: [2, samples] as loud as in the mix.
    """

    played: list[int]
    played_sound: Audio
    rest_sound: Audio


def divided(mix: Mix, generator: np.random.Generator) -> Division | None:
    """One stem or several against the others; None where fewer than two are heard."""
    heard = [i for i, stem in enumerate(mix.stems) if float((stem**2).mean()) > SILENT_POWER]
    if len(heard) < 2:
        return None
    most = 1 if generator.random() < ONE_STEM else len(heard) - 1
    order = [heard[int(place)] for place in generator.permutation(len(heard))]
    played = sorted(order[: int(generator.integers(1, most + 1))])
    size = mix.whole.shape
    sides = [
        limited(sum((mix.stems[i] for i in side), np.zeros(size, np.float32)))
        for side in (played, [i for i in heard if i not in played])
    ]
    return Division(played, sides[0], sides[1])


def limited(mix: Audio) -> Audio:
    """At most 6 dB of soft limiting of the peaks, then a gain that keeps the peak at −1 dBFS."""
    peak = float(np.abs(mix).max())
    if peak <= PEAK_CEILING:
        return mix
    mix = mix * (min(peak, 2 * PEAK_CEILING) / peak)
    knee = 0.6 * PEAK_CEILING
    size = np.abs(mix)
    bent = knee + (PEAK_CEILING - knee) * np.tanh((size - knee) / (PEAK_CEILING - knee))
    return np.asarray(np.sign(mix) * np.where(size > knee, bent, size), dtype=np.float32)
