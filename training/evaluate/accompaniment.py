"""Does the model go with what is played to it? Agreement with its own input and with others'.

python -m training.evaluate.accompaniment MODEL --latents DIR [--pieces 6] [--out FILE]

Held-out divided pieces: the model is given the input (shifted by its future visibility), caption,
beat and tempo, no notes, no chords. Chroma agreement is the mean cosine of frame chroma of input
and answer, centred; rhythm agreement the correlation of their onset strengths. Both also for the
answer to another piece's input (random pairing, beat of the own piece) and for the real rest.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from training.data.pieces import Piece
from training.evaluate.asking import SETTLING, played, require, sound_of
from training.evaluate.beats import onset_strength
from training.evaluate.controls import held_out_latents
from training.evaluate.distances import magnitudes
from training.evaluate.judgement import tell

SAMPLE_RATE, FRAME = 44100, 2048
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
    model: Model,
    pieces: Sequence[Piece],
    seconds: float,
    guidance: float = 1.5,
    visibilities: Sequence[int] = VISIBILITIES,
) -> dict[str, Any]:
    """Agreement by future visibility in blocks, beside random pairing and the real rest."""
    require(model, "accompaniment")
    frames, block = round(seconds * SAMPLE_RATE / FRAME), model.stream_config.block_frames
    skip = round(SETTLING * SAMPLE_RATE)
    parts = [piece.rest() for piece in pieces]
    inputs = [sound_of(model, part.arrays["accompaniment"][:, :frames])[skip:] for part in parts]
    rows: dict[str, list[tuple[float, float]]] = {"real": [], "random": []}
    for index, (part, heard) in enumerate(zip(parts, inputs, strict=True)):
        rest = sound_of(model, part.latents[:, :frames])[skip:]
        rows["real"].append(agreement(heard, rest))
        rows["random"].append(agreement(inputs[index - 1], rest))
    for blocks in tqdm(visibilities, desc="visibility", disable=not sys.stderr.isatty()):
        own, others = [], []
        for index, part in enumerate(parts):
            known = part.controls(0, frames, visibility=blocks * block, block=block)
            values = {n: v for n, v in known.items() if n in ("beat", "accompaniment")}
            caption = part.facts["captions"][0]
            answer = played(model, caption, values, frames, index, guidance)[skip:]
            own.append(agreement(inputs[index], answer))
            others += [agreement(i, answer) for n, i in enumerate(inputs) if n != index]
        rows[f"own {blocks:+d}"], rows[f"other {blocks:+d}"] = own, others
    return {
        "model": model.name,
        "sha256": model.sha256,
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


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="agreement with an input, by future visibility")
    parser.add_argument("model", help="model name or folder")
    parser.add_argument("--latents", type=Path, required=True, help="what train encode wrote")
    parser.add_argument("--pieces", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=12.0)
    parser.add_argument("--guidance", type=float, default=1.5)
    parser.add_argument("--visibility", type=int, nargs="+", default=list(VISIBILITIES))
    parser.add_argument("--out", type=Path, help="JSON file")
    options = parser.parse_args()
    torch.set_num_threads(1)
    frames = round(options.seconds * SAMPLE_RATE / FRAME)

    def judge() -> dict[str, Any]:
        pieces = held_out_latents(options.latents, options.pieces, frames, divided=True)
        model = load(options.model)
        return evaluate(model, pieces, options.seconds, options.guidance, options.visibility)

    tell(judge, options.out)


if __name__ == "__main__":
    main()
