"""Audio files -> stereo float32 at the codec's rate, and latents of pieces of any length."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
import torch
from numpy.typing import NDArray

from lmdm.errors import InputError

SHORTEST_SECONDS = 1.0
CHUNK_FRAMES, MARGIN_FRAMES = 2048, 32  # latent frames encoded at once, and context at both sides

Audio = NDArray[np.float32]
NI_STEMS = ("mixture", "drums", "bass", "other", "vocals")  # streams of a .stem.mp4


def read_sound(path: Path, rate: int, stem: str = "mixture") -> Audio:
    """A file as [samples, 2] at `rate` Hz; mono is doubled, further channels are left out.

    Raises:
        InputError: the file cannot be decoded, is cut short, too short, or not finite.
    """
    if path.name.endswith(".stem.mp4"):
        audio, own = _read_stem(path, stem)
    else:
        try:
            with soundfile.SoundFile(path) as file:
                promised, own = file.frames, file.samplerate
                audio = file.read(dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError, RuntimeError) as problem:
            raise InputError(f"{path.name} cannot be decoded: {problem}") from None
        if len(audio) < promised * 0.98:
            raise InputError(f"{path.name} is cut short: {len(audio)} of {promised} samples")
    if len(audio) < SHORTEST_SECONDS * own:
        raise InputError(f"{path.name} lasts {len(audio) / max(own, 1):.2f} s, less than 1 s")
    if not np.isfinite(audio).all():
        raise InputError(f"{path.name} holds samples that are not finite")
    stereo = np.repeat(audio, 2, axis=1) if audio.shape[1] == 1 else audio[:, :2]
    if own != rate:
        stereo = soxr.resample(stereo, own, rate)
    return np.ascontiguousarray(stereo, dtype=np.float32)


def _read_stem(path: Path, stem: str) -> tuple[Audio, int]:
    """One of the five streams of a Native Instruments stem file."""
    try:
        import av
    except ImportError:
        raise InputError(
            f"{path.name} needs PyAV to be read: pip install av, or use MUSDB18-HQ"
        ) from None
    try:
        with av.open(str(path)) as container:
            streams = container.streams.audio
            stream = streams[NI_STEMS.index(stem)]
            rate = int(stream.rate or 0)
            parts = [_planar(frame) for frame in container.decode(stream)]
    except (av.FFmpegError, OSError, IndexError, ValueError) as problem:
        raise InputError(f"{path.name} cannot be decoded: {problem}") from None
    if not parts:
        raise InputError(f"{path.name} holds no {stem}")
    return np.concatenate(parts, axis=1).T, rate


def _planar(frame: Any) -> Audio:
    """An FFmpeg frame as [channels, samples] in -1..1."""
    samples = frame.to_ndarray()
    if not frame.format.is_planar:
        samples = samples.reshape(-1, len(frame.layout.channels)).T
    if samples.dtype.kind == "i":
        return (samples / np.iinfo(samples.dtype).max).astype(np.float32)
    return samples.astype(np.float32)


def codec_hash(codec: torch.nn.Module) -> str:
    """SHA-256 of the weights in 16 bits: the same for every file that the codec is written to."""
    digest = hashlib.sha256()
    for name, tensor in sorted(codec.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().to(torch.float16).contiguous().numpy().tobytes())
    return digest.hexdigest()


@torch.inference_mode()
def encode_sound(codec: Any, audio: Audio) -> NDArray[np.float16]:
    """audio [samples, 2] -> latents [C, frames]; whole frames only, in chunks that overlap.

    A chunk sees `MARGIN_FRAMES` to both sides, more than either codec's encoder reaches.
    """
    size = codec.frame_samples
    frames = len(audio) // size
    parts = []
    for first in range(0, frames, CHUNK_FRAMES):
        last = min(first + CHUNK_FRAMES, frames)
        begin, end = max(0, first - MARGIN_FRAMES), min(frames, last + MARGIN_FRAMES)
        piece = torch.from_numpy(audio[begin * size : end * size].T.copy())[None]
        latents = codec.encode(piece)[0].float()
        parts.append(latents[:, first - begin : last - begin].to(torch.float16).cpu().numpy())
    return np.concatenate(parts, axis=1)
