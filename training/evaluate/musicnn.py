"""musicnn (Pons & Serra, 2019; ISC) without TensorFlow: its checkpoint read, its network in torch.

The weights are those of the package musicnn 0.1.0, which needs no dependency to be unpacked:
`pip install --no-deps musicnn==0.1.0`. Input is 16 kHz mono, so nothing above 8 kHz is heard.
"""

from __future__ import annotations

import importlib.util
import struct
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

RATE, SIZE, HOP, BANDS = 16000, 512, 256, 96
PATCH = 187  # frames of a patch: 3 s
EPSILON = 1e-3  # of the batch norms
TYPES = {1: np.float32, 2: np.float64, 3: np.int32, 9: np.int64}
VERTICAL = ((2, 128), (3, 64), (4, 32))  # front-end convolutions over time: number, length
MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s",
    "alternative rock", "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock",
    "soul", "indie rock", "Mellow", "electronica", "80s", "folk", "90s", "chill", "instrumental",
    "punk", "oldies", "blues", "hard rock", "ambient", "acoustic", "experimental",
    "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop",
    "sad", "House", "happy",
)  # fmt: skip

Array = NDArray[np.float32]


def checkpoint_path() -> Path | None:
    """Prefix of the MSD_musicnn checkpoint; None if the package is not installed."""
    spec = importlib.util.find_spec("musicnn")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        if (Path(folder) / "MSD_musicnn" / ".index").is_file():
            return Path(folder) / "MSD_musicnn"
    return None


# -- TensorFlow tables: LevelDB blocks of protocol buffers, as far as it is used here


def read_checkpoint(folder: Path) -> dict[str, NDArray[Any]]:
    """Name -> array of a TensorFlow V2 checkpoint."""
    index = (folder / ".index").read_bytes()
    data = (folder / ".data-00000-of-00001").read_bytes()
    _, at = _varint(index[-48:], 0)
    _, at = _varint(index[-48:], at)
    offset, at = _varint(index[-48:], at)
    size, _ = _varint(index[-48:], at)
    found = {}
    for _, handle in _entries(index, offset, size):
        start, at = _varint(handle, 0)
        length, _ = _varint(handle, at)
        for key, value in _entries(index, start, length):
            if key:
                found[key.decode()] = _array(_message(value), data)
    return found


def _array(entry: dict[int, list[Any]], data: bytes) -> NDArray[Any]:
    kind = TYPES[entry.get(1, [1])[0]]
    sizes = _message(entry[2][0]).get(2, []) if 2 in entry else []
    shape = [_message(size).get(1, [0])[0] for size in sizes]
    offset, length = entry.get(4, [0])[0], entry[5][0]
    return np.frombuffer(data[offset : offset + length], kind).reshape(shape)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7


def _entries(index: bytes, offset: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of one block; keys share prefixes with those before."""
    if index[offset + size]:
        raise ValueError("the checkpoint's index is compressed, which is not expected")
    block = index[offset : offset + size]
    restarts = struct.unpack("<I", block[-4:])[0]
    end, at, key = len(block) - 4 * (restarts + 1), 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        at += own
        yield key, block[at : at + length]
        at += length


def _message(data: bytes) -> dict[int, list[Any]]:
    """A protocol buffer's fields, by number."""
    found: dict[int, list[Any]] = {}
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        kind = tag & 7
        value: Any
        if kind == 0:
            value, at = _varint(data, at)
        else:
            length = {1: 8, 5: 4}.get(kind)
            if length is None:
                length, at = _varint(data, at)
            value, at = data[at : at + length], at + length
        found.setdefault(tag >> 3, []).append(value)
    return found


# -- the network -----------------------------------------------------------------------------------


class MusicNN:
    """Patches of log-mel -> 200-d features and 50 tag probabilities."""

    def __init__(self, folder: Path) -> None:
        arrays = read_checkpoint(folder)
        self._weights = {
            name: torch.from_numpy(array.copy())
            for name, array in arrays.items()
            if "Adam" not in name and array.ndim
        }

    def _norm(self, x: Tensor, number: int) -> Tensor:
        """Batch norm over channels (dim 1)."""
        name = "batch_normalization" + (f"_{number}" if number else "")
        gamma, beta, mean, variance = (
            self._weights[f"{name}/{part}"]
            for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        return F.batch_norm(x, mean, variance, gamma, beta, eps=EPSILON)

    def _convolution(self, x: Tensor, number: int) -> Tensor:
        name = "conv2d" + (f"_{number}" if number else "")
        kernel = self._weights[f"{name}/kernel"].permute(3, 2, 0, 1)
        return F.relu(F.conv2d(x, kernel, self._weights[f"{name}/bias"]))

    @torch.inference_mode()
    def __call__(self, patches: Array) -> tuple[Array, Array]:
        """[N, 187, 96] -> features [N, 200], tags [N, 50] in 0..1."""
        x = self._norm(torch.from_numpy(patches)[:, None], 0)
        timbral = F.pad(x, (0, 0, 3, 3))
        parts = [self._norm(self._convolution(timbral, n), n + 1).amax(3) for n in (0, 1)]
        for number, length in VERTICAL:
            padded = F.pad(x, (0, 0, (length - 1) // 2, length - 1 - (length - 1) // 2))
            parts.append(self._norm(self._convolution(padded, number), number + 1).amax(3))
        front = torch.cat(parts, dim=1)

        def middle(hidden: Tensor, number: int) -> Tensor:
            rows = F.pad(hidden.transpose(1, 2)[:, None], (0, 0, 3, 3))
            return self._norm(self._convolution(rows, number), number + 1)[:, :, :, 0]

        first = middle(front, 5)
        second = middle(first, 6) + first
        third = middle(second, 7) + second
        everything = torch.cat([front, first, second, third], dim=1)
        pooled = torch.stack([everything.amax(2), everything.mean(2)], dim=2).flatten(1)
        w = self._weights
        dense = F.relu(self._norm(pooled, 9) @ w["dense/kernel"] + w["dense/bias"])
        features = self._norm(dense, 10)
        tags = torch.sigmoid(features @ w["dense_1/kernel"] + w["dense_1/bias"])
        return features.numpy(), tags.numpy()


@cache
def mel_bands() -> Array:
    """[257, 96]: Slaney's mel triangles, each of unit area, 0 to 8 kHz, as librosa makes them."""

    def hertz(mel: NDArray[Any]) -> NDArray[Any]:
        linear = mel * 200 / 3
        return np.where(mel < 15, linear, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))

    highest = 15 + 27 * np.log(8000 / 1000) / np.log(6.4)
    edges = hertz(np.linspace(0, highest, BANDS + 2))
    frequency = np.fft.rfftfreq(SIZE, 1 / RATE)[:, None]
    rising = (frequency - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - frequency) / np.diff(edges)[1:]
    weight = np.maximum(0, np.minimum(rising, falling)) * 2 / (edges[2:] - edges[:-2])
    return weight.astype(np.float32)


def patches(sound: Array, rate: int, hop_seconds: float = 1.5) -> Array:
    """sound [S] or [S, channels] -> log-mel patches [N, 187, 96]; short sound is padded."""
    mono = sound if sound.ndim == 1 else sound.mean(axis=1)
    audio = np.asarray(soxr.resample(mono, rate, RATE), np.float32)
    padded = np.pad(audio, SIZE // 2)
    framed = np.lib.stride_tricks.sliding_window_view(padded, SIZE)[::HOP]
    window = np.hanning(SIZE + 1)[:-1].astype(np.float32)
    power = np.abs(np.fft.rfft(framed * window)) ** 2
    mel = np.log10(1e4 * (power @ mel_bands()) + 1).astype(np.float32)
    mel = np.pad(mel, ((0, max(0, PATCH - len(mel))), (0, 0)))
    hop = round(hop_seconds * RATE / HOP)
    starts = range(0, len(mel) - PATCH + 1, hop)
    return np.stack([mel[start : start + PATCH] for start in starts])
