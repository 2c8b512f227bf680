"""Folders of rendered pieces -> latents with frame-aligned labels, one safetensors file a piece.

    lmdm train encode SRC OUT --model starter        (or python -m training.encode)

Resumable: pieces that are encoded already are skipped; unreadable ones are listed.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import numpy as np
import soundfile
import torch
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from lmdm.codec.spectrum import FRAME_SAMPLES, SAMPLE_RATE
from lmdm.conditioning.loudness import SILENCE_LEVEL, level_of_rms
from lmdm.errors import InputError
from lmdm.formats.model import Codec

FRAME_RATE = SAMPLE_RATE / FRAME_SAMPLES


def loudness_frames(audio: np.ndarray, frames: int) -> np.ndarray:
    """audio [S, 2] -> loudness level per latent frame over about 0.4 s [frames]."""
    power = (audio[: frames * FRAME_SAMPLES] ** 2).mean(axis=1)
    per_frame = power.reshape(frames, FRAME_SAMPLES).mean(axis=1)
    kernel = np.ones(9) / 9
    smooth = np.convolve(np.pad(per_frame, 4, mode="edge"), kernel, mode="valid")
    return np.array([level_of_rms(float(np.sqrt(p))) for p in smooth], dtype=np.float32)


@torch.inference_mode()
def encode_piece(codec: Codec, folder: Path) -> dict[str, np.ndarray]:
    """Latents and labels of one rendered piece, as arrays.

    latents [64, T] float16; notes [n, 5] = first frame, end frame, pitch, velocity, stem (frames
    are fractional); beats [n, 2] = frame, beat in bar; chords [n, 14]; loudness [T].
    """
    audio, rate = soundfile.read(folder / "mix.flac", dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE or audio.shape[1] != 2:
        raise InputError(f"{folder / 'mix.flac'} is not {SAMPLE_RATE} Hz stereo")
    frames = len(audio) // FRAME_SAMPLES
    whole = torch.from_numpy(audio[: frames * FRAME_SAMPLES].T.copy())[None]
    latents = codec.encode(whole)[0].to(torch.float16).numpy()
    labels = load_file(folder / "labels.safetensors")
    notes, beats, chords = (labels[k].astype(np.float32) for k in ("notes", "beats", "chords"))
    notes[:, :2] *= FRAME_RATE
    beats[:, 0] *= FRAME_RATE
    chords[:, :2] *= FRAME_RATE
    loudness = loudness_frames(audio, frames)
    assert loudness.min() >= SILENCE_LEVEL
    return {
        "latents": latents,
        "notes": notes,
        "beats": beats,
        "chords": chords,
        "loudness": loudness,
    }


def encode(source: Path, out: Path, codec: Codec, codec_hash: str) -> dict[str, str]:
    """Encode every piece below `source`; returns what was skipped and why."""
    out.mkdir(parents=True, exist_ok=True)
    skipped: dict[str, str] = {}
    for folder in tqdm(sorted(p.parent for p in source.glob("*/piece.json")), desc="encode"):
        target = out / f"{folder.name}.safetensors"
        if target.exists():
            continue
        try:
            arrays = encode_piece(codec, folder)
            piece = json.loads((folder / "piece.json").read_text())
        except (InputError, OSError, ValueError, KeyError) as error:
            skipped[folder.name] = str(error)
            continue
        beside = target.with_suffix(".part")
        save_file(arrays, beside, {"piece": json.dumps(piece), "codec": codec_hash})
        os.replace(beside, target)
    return skipped


def main() -> None:
    """Command line."""
    from lmdm import checkpoints

    parser = argparse.ArgumentParser(description="encode rendered pieces to latents")
    parser.add_argument("source", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="starter", help="model folder whose codec encodes")
    arguments = parser.parse_args()
    codec, codec_hash = checkpoints.load_codec(arguments.model)
    for name, why in encode(arguments.source, arguments.out, codec, codec_hash).items():
        print(f"skipped {name}: {why}")


if __name__ == "__main__":
    main()
