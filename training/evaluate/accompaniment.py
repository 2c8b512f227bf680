"""Does the model go with what is played to it? Agreement with its own input and with others'.

Held-out divided pieces: the model is given the input (shifted by its future visibility), caption,
beat and tempo, no notes, no chords. Chroma agreement is the mean cosine of frame chroma of input
and answer, centred; rhythm agreement the correlation of their onset strengths. Both also for the
answer to another piece's input (random pairing, beat of the own piece) and for the real rest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.checkpoints import Model
from training.data.shards import Manifest
from training.evaluate.asking import SETTLING, played, require
from training.evaluate.beats import onset_strength
from training.evaluate.codec import sound_of
from training.evaluate.distances import magnitudes
from training.evaluate.sources import held_out_latents

SAMPLE_RATE, FRAME = 44100, 2048
PIECES, SECONDS = 6, 12.0  # that are played, of each
CHROMA_SIZE, CHROMA_HOP = 8192, 4096
LOWEST, HIGHEST = 40.0, 90.0  # MIDI pitches that chroma listens to
VISIBILITIES = (-3, -2, -1, 0, 1)  # blocks
Array = NDArray[np.float32]


def chroma(sound: Array) -> NDArray[np.float64]:
    """sound [S, 2] -> unit-length centred chroma [n, 12], eleven a second."""
    power = magnitudes(sound.mean(axis=1), CHROMA_SIZE, CHROMA_HOP) ** 2
    hertz = np.maximum(np.fft.rfftfreq(CHROMA_SIZE, 1 / SAMPLE_RATE), 1.0)
    pitch = 69 + 12 * np.log2(hertz / 440)
    inside = (pitch >= LOWEST) & (pitch <= HIGHEST)
    classes = np.zeros((power.shape[1], 12))
    classes[np.arange(len(pitch))[inside], np.round(pitch[inside]).astype(int) % 12] = 1.0
    folded = np.sqrt(power @ classes)
    folded -= folded.mean(axis=1, keepdims=True)
    return folded / np.maximum(np.linalg.norm(folded, axis=1, keepdims=True), 1e-9)


def agreement(one: Array, other: Array) -> tuple[float, float]:
    """(chroma, rhythm), each in -1..1, of two sounds [S, 2] that begin together."""
    length = min(len(one), len(other))
    one, other = one[:length], other[:length]
    harmony = float((chroma(one) * chroma(other)).sum(axis=1).mean())
    rises = np.stack([onset_strength(one), onset_strength(other)])
    if rises.std(axis=1).min() < 1e-9:
        return harmony, 0.0
    return harmony, float(np.asarray(np.corrcoef(rises))[0, 1])


def evaluate(
    model: Model, manifest: Manifest, visibilities: Sequence[int] = VISIBILITIES
) -> dict[str, Any]:
    """Agreement by future visibility in blocks, beside random pairing and the real rest.

    Raises:
        InputError: the model hears no accompaniment, or there is no held-out divided piece.
    """
    require(model, "accompaniment")
    frames = round(SECONDS * SAMPLE_RATE / FRAME)
    pieces = held_out_latents(manifest, PIECES, frames, divided=True)
    block = model.stream_config.block_frames
    skip = round(SETTLING * SAMPLE_RATE)
    parts = [piece.rest() for piece in pieces]
    inputs = [
        sound_of(model.codec, part.arrays["accompaniment"][:, :frames])[skip:] for part in parts
    ]
    rows: dict[str, list[tuple[float, float]]] = {"real": [], "random": []}
    for index, (part, heard) in enumerate(zip(parts, inputs, strict=True)):
        rest = sound_of(model.codec, part.latents[:, :frames])[skip:]
        rows["real"].append(agreement(heard, rest))
        rows["random"].append(agreement(inputs[index - 1], rest))
    for blocks in tqdm(visibilities, desc="visibility"):
        own, others = [], []
        for index, part in enumerate(parts):
            known = part.controls(0, frames, visibility=blocks * block, block=block)
            values = {n: v for n, v in known.items() if n in ("beat", "accompaniment")}
            caption = part.facts["captions"][0]
            answer = played(model, caption, values, frames, index)[skip:]
            own.append(agreement(inputs[index], answer))
            others += [agreement(i, answer) for n, i in enumerate(inputs) if n != index]
        rows[f"own {blocks:+d}"], rows[f"other {blocks:+d}"] = own, others
    return {
        "pieces": [str(piece.facts["key"]) for piece in pieces],
        "agreement": {
            name: {
                "chroma": round(float(np.mean([h for h, _ in found])), 3),
                "rhythm": round(float(np.mean([r for _, r in found])), 3),
            }
            for name, found in rows.items()
            if found
        },
    }
