"""The codec on sound it was not trained on: distances, average spectrum, Opus beside it."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.formats.model import Codec
from training.data.audio_pool import is_held_out
from training.data.track import audio_files
from training.evaluate import distances, opus, plots
from training.evaluate.pieces import Piece
from training.evaluate.quality import Quality, best_quality

SAMPLE_RATE = 44100
OPUS_KILOBITS = (6.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0)
SPECTRUM_SIZE = 16384
SECONDS = 10.0  # of each excerpt
EXCERPTS = 8  # of each kind of sound

Array = NDArray[np.float32]
Double = NDArray[np.float64]


@dataclass(frozen=True)
class Excerpt:
    """Some seconds of held-out sound: audio [S, 2] at 44.1 kHz."""

    name: str
    audio: Array


@dataclass(frozen=True)
class Fidelity:
    """How near one rendition is to the original, mean over excerpts."""

    name: str
    kilobits: float | None  # None: not a bit stream
    log_mel_db: float
    stft: float
    si_sdr_db: float
    average_mel_db: float
    quality: float  # by the report's `quality_judge`

    def to_dict(self) -> dict[str, float | str | None]:
        """JSON form."""
        return {
            "name": self.name,
            "kilobits": None if self.kilobits is None else round(self.kilobits, 1),
            "log_mel_db": round(self.log_mel_db, 3),
            "stft": round(self.stft, 3),
            "si_sdr_db": round(self.si_sdr_db, 2),
            "average_mel_db": round(self.average_mel_db, 3),
            "quality": round(self.quality, 3),
        }


@dataclass(frozen=True)
class CodecReport:
    """Codec and Opus on one set of excerpts.

    spectra: average spectra in dB of originals and codec [2, bins]; grid_tone_db: how far the
    multiples of the frame rate stand out of each.
    """

    excerpts: tuple[str, ...]
    seconds: float
    rows: tuple[Fidelity, ...]
    equal_opus_kilobits: float | None  # Opus of equal log-mel distance; None without ffmpeg
    grid_tone_db: tuple[float, float]
    new_tone: tuple[float, float]  # Hz and dB of the tone that the codec most adds
    decode_real_time_factor: float  # CPU seconds a second of sound
    spectra: Double
    quality_judge: str

    def to_dict(self) -> dict[str, object]:
        """JSON form, without the spectra."""
        kilobits = self.equal_opus_kilobits
        return {
            "excerpts": list(self.excerpts),
            "seconds": round(self.seconds, 1),
            "rows": [each.to_dict() for each in self.rows],
            "quality_judge": self.quality_judge,
            "equal_opus_kilobits": None if kilobits is None else round(kilobits, 1),
            "grid_tone_db": {
                "original": round(self.grid_tone_db[0], 3),
                "codec": round(self.grid_tone_db[1], 3),
            },
            "new_tone": {"hertz": round(self.new_tone[0]), "db": round(self.new_tone[1], 2)},
            "decode_real_time_factor": round(self.decode_real_time_factor, 4),
        }


def recorded_excerpts(folder: Path, count: int, seconds: float) -> list[Excerpt]:
    """The middles of `count` recorded files that `training.data.audio_pool` never trains on.

    Longer files than `seconds` only; which of them are used follows from their names alone.
    """
    chosen: list[Excerpt] = []
    by_hash = sorted(audio_files(folder), key=lambda p: hashlib.sha256(p.name.encode()).digest())
    for path in by_hash:
        if len(chosen) == count:
            break
        if not is_held_out(path):
            continue
        try:
            info = soundfile.info(path)
            if info.duration < seconds:
                continue
            audio, rate = soundfile.read(
                path,
                dtype="float32",
                always_2d=True,
                start=int((info.duration - seconds) / 2 * info.samplerate),
                frames=round(seconds * info.samplerate),
            )
        except soundfile.LibsndfileError:
            continue
        stereo = np.repeat(audio, 2, axis=1)[:, :2] if audio.shape[1] == 1 else audio[:, :2]
        if rate != SAMPLE_RATE:
            stereo = soxr.resample(stereo, rate, SAMPLE_RATE).astype(np.float32)
        if np.abs(stereo).max() > 1e-3:
            chosen.append(Excerpt(path.stem, np.ascontiguousarray(stereo)))
    return chosen


@torch.inference_mode()
def latents_of(codec: Codec, audio: Array) -> Array:
    """audio [S, 2] -> the latents [C, T] of its whole frames."""
    whole = audio[: len(audio) // codec.frame_samples * codec.frame_samples]
    return codec.encode(torch.from_numpy(whole.T.copy())[None])[0].numpy()


@torch.inference_mode()
def sound_of(codec: Codec, latents: NDArray[Any]) -> Array:
    """Latents [C, T] decoded, [S, 2] float32."""
    decoded = codec.decode(torch.from_numpy(np.asarray(latents, np.float32))[None])[0]
    return np.ascontiguousarray(decoded.T.float().numpy())


def codec_round_trip(codec: Codec, audio: Array) -> tuple[Array, Array]:
    """audio [S, 2] -> its latents [C, T] and the codec's sound of them [2048 T, 2]."""
    latents = latents_of(codec, audio)
    return latents, sound_of(codec, latents)


def fidelity(
    name: str, kilobits: float | None, pairs: list[tuple[Array, Array]], quality: Quality
) -> Fidelity:
    """Means of every distance over pairs (original, rendition), each [S, 2]."""
    measures = (
        distances.log_mel_distance,
        distances.stft_distance,
        distances.si_sdr,
        distances.average_mel_distance,
        quality.compare,
    )
    means = [float(np.mean([measure(a, b) for a, b in pairs])) for measure in measures]
    return Fidelity(name, kilobits, *means)


def evaluate_codec(
    codec: Codec,
    excerpts: list[Excerpt],
    quality: Quality,
    kilobits: tuple[float, ...] = OPUS_KILOBITS,
) -> CodecReport:
    """The codec's report on excerpts, of which there must be one or more."""
    originals = [each.audio for each in excerpts]
    seconds = sum(map(len, originals)) / SAMPLE_RATE
    latents = [latents_of(codec, audio) for audio in tqdm(originals, desc="codec")]
    begun = time.process_time()
    decoded = [sound_of(codec, each) for each in latents]
    cost = (time.process_time() - begun) / seconds
    rows = [fidelity("codec", None, list(zip(originals, decoded, strict=True)), quality)]
    equal = None
    if opus.available():
        for rate in tqdm(kilobits, desc="opus"):
            coded = [opus.round_trip(audio, rate) for audio in originals]
            pairs = [(a, sound) for a, (sound, _) in zip(originals, coded, strict=True)]
            taken = float(np.mean([each for _, each in coded]))
            rows.append(fidelity(f"Opus {rate:g}k", taken, pairs, quality))
        taken_rates = [each.kilobits or 0.0 for each in rows[1:]]
        equal = opus.equal_rate(
            taken_rates, [each.log_mel_db for each in rows[1:]], rows[0].log_mel_db
        )
    spectra = np.stack([_mean_spectrum(originals), _mean_spectrum(decoded)])
    spacing = codec.sample_rate / codec.frame_samples
    tones = [distances.grid_tone(each, SPECTRUM_SIZE, spacing) for each in spectra]
    return CodecReport(
        tuple(each.name for each in excerpts),
        seconds,
        tuple(rows),
        equal,
        (tones[0], tones[1]),
        distances.strongest_new_tone(spectra[0], spectra[1], SPECTRUM_SIZE),
        cost,
        spectra,
        quality.name,
    )


def _mean_spectrum(sounds: list[Array]) -> Double:
    """Power mean of average spectra, in dB."""
    levels = np.stack([distances.average_spectrum(each, SPECTRUM_SIZE) for each in sounds])
    return np.asarray(10 * np.log10((10 ** (levels / 10)).mean(axis=0)))


def evaluate_codecs(
    codec: Codec, pieces: list[Piece], recorded: Path | None, out: Path
) -> dict[str, dict[str, object]]:
    """The codec on test renders and, where given, on held-out recordings, with a picture of each.

    OUT/spectrum-NAME.png: average spectra of originals and codec.
    """
    length = round(SECONDS * SAMPLE_RATE)
    sets = {"renders": [Excerpt(p.name, p.audio[:length]) for p in pieces[:EXCERPTS]]}
    if recorded is not None:
        sets["recordings"] = recorded_excerpts(recorded, EXCERPTS, SECONDS)
    quality = best_quality()
    reports: dict[str, dict[str, object]] = {}
    for name, excerpts in sets.items():
        if not excerpts:
            continue
        report = evaluate_codec(codec, excerpts, quality)
        spacing = codec.sample_rate / codec.frame_samples
        title = f"average spectrum of {name}, {report.seconds:.0f} s"
        plots.average_spectra(out / f"spectrum-{name}.png", report.spectra, spacing, title)
        reports[name] = report.to_dict()
    return reports
