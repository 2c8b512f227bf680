"""Opus as a yardstick: the same sound through libopus at a bit rate, by PyAV."""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import soxr
from numpy.typing import NDArray

from lmdm.errors import InputError

SAMPLE_RATE = 44100
OPUS_RATE = 48000

Array = NDArray[np.float32]


def available() -> bool:
    """Whether PyAV is installed, with libopus."""
    if importlib.util.find_spec("av") is None:
        return False
    import av

    return "libopus" in av.codecs_available


def round_trip(audio: Array, kilobits: float) -> tuple[Array, float]:
    """audio [S, 2] at 44.1 kHz -> what Opus at `kilobits` kbit/s makes of it, and the rate it took.

    Encoded with constrained variable bit rate at 48 kHz; the sound is as long as it was and in
    time (libopus' delay is removed by its own header). The rate returned is that of the file.

    Raises:
        InputError: PyAV is missing or has no libopus.
    """
    if not available():
        raise InputError("PyAV with libopus is not installed; `pip install av` to compare with it")
    coded = _encoded(soxr.resample(audio, SAMPLE_RATE, OPUS_RATE), kilobits)
    sound = soxr.resample(_decoded(coded), OPUS_RATE, SAMPLE_RATE).astype(np.float32)
    fitted = np.zeros_like(audio)
    length = min(len(audio), len(sound))
    fitted[:length] = sound[:length]
    return fitted, len(coded) * 8 / 1000 / (len(audio) / SAMPLE_RATE)


def _encoded(sound: Array, kilobits: float) -> bytes:
    """sound [S, 2] at 48 kHz -> an Ogg Opus file."""
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="ogg") as container:
        stream = container.add_stream("libopus", rate=OPUS_RATE)
        stream.layout = "stereo"
        stream.bit_rate = round(1000 * kilobits)
        stream.options = {"vbr": "constrained"}
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(sound.reshape(1, -1)), format="flt", layout="stereo"
        )
        frame.rate = OPUS_RATE
        for piece in (frame, None):
            container.mux(stream.encode(piece))
    return file.getvalue()


def _decoded(coded: bytes) -> Array:
    """An Ogg Opus file -> sound [S, 2] at 48 kHz."""
    import av

    with av.open(io.BytesIO(coded), "r") as container:
        parts = [frame.to_ndarray() for frame in container.decode(audio=0)]
    return np.ascontiguousarray(np.concatenate(parts, axis=1).T, np.float32)


def equal_rate(rates: list[float], distances: list[float], wanted: float) -> float:
    """The bit rate at which Opus has the distance `wanted`, by interpolation in log rate.

    Distances fall with the rate. Outside the measured range, the nearest measured rate.
    """
    order = np.argsort(distances)
    by_distance = np.array(distances)[order]
    log_rate = np.log(np.array(rates)[order])
    return float(np.exp(np.interp(wanted, by_distance, log_rate)))
