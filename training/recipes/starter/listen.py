"""The examples of docs/listen.md: short sounds and pictures, each with its command and seed.

python -m training.recipes.starter.listen --latents DIR [--model starter] [--out docs]

OUT/sounds/listen-NAME.ogg, OUT/pictures/listen/NAME.png and OUT/listen.md are written anew; what
takes a command line is made by that command.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from lmdm.checkpoints import Model, load
from lmdm.conditioning.beat import BeatFrames
from lmdm.conditioning.chord import chroma
from lmdm.errors import InputError
from lmdm.live.hearing import ANSWER_DB
from lmdm.theory.bars import PlayedNote, write_midi
from lmdm.weights import write_beside
from training.data.shards import read_manifest
from training.evaluate import plots
from training.evaluate.asking import played
from training.evaluate.codec import sound_of
from training.evaluate.signal import level_db
from training.evaluate.sources import held_out_latents

SAMPLE_RATE, FRAME = 44100, 2048
OGG_BLOCK = 1 << 16  # samples; libsndfile's Vorbis writer fails on much more at once
LONG_SECONDS = 120.0
COLOURS = 48  # of a picture, which keeps it small
Array = NDArray[np.float32]


@dataclass(frozen=True)
class Example:
    """A sound that one command makes. notes: (start in beats, length, pitch) of a MIDI file."""

    name: str
    title: str
    options: str  # of `lmdm render`
    notes: tuple[tuple[float, float, int], ...] = ()
    bpm: float = 100.0


def _chords(*chords: tuple[int, ...], beats: float = 4.0) -> tuple[tuple[float, float, int], ...]:
    """Chords of so many beats, one after another."""
    return tuple(
        (index * beats, beats - 0.1, pitch) for index, chord in enumerate(chords) for pitch in chord
    )


CADENCE = _chords((48, 60, 64, 67), (45, 60, 64, 69), (41, 60, 65, 69), (43, 59, 62, 67))
_TUNE_PITCHES = (
    60, 64, 67, 72, 71, 67, 64, 62, 60, 65, 69, 74, 72, 69, 65, 64,
    62, 65, 69, 72, 71, 69, 67, 65, 64, 62, 60, 59, 60, 64, 67, 72,
)  # fmt: skip
TUNE = tuple((0.5 * index, 0.45, pitch) for index, pitch in enumerate(_TUNE_PITCHES))
EXAMPLES = (
    Example(
        "piano", "A tune and a cadence on a piano", '--prompt "grand piano" --seed 1',
        (*CADENCE, *((start, length, pitch + 12) for start, length, pitch in TUNE)),
    ),
    Example("strings", "The cadence by strings", '--prompt "string section" --seed 2', CADENCE),
    Example("organ", "The tune on an organ", '--prompt "drawbar organ" --seed 3', TUNE),
    Example(
        "house", "House, with drums, at 124",
        '--prompt "house, four-on-the-floor club track" --drums on --bpm 124 --seed 4 --seconds 12',
    ),
    Example(
        "jazz", "A jazz trio at 140",
        '--prompt "jazz trio, acoustic jazz, walking bass" --drums on --bpm 140 --seed 5 '
        "--seconds 12",
    ),
)  # fmt: skip


def write_ogg(path: Path, sound: Array) -> None:
    """sound [S, 2] as Vorbis."""

    def write(part: Path) -> None:
        with soundfile.SoundFile(
            part, "w", SAMPLE_RATE, 2, format="OGG", subtype="VORBIS", compression_level=0.8
        ) as file:
            for first in range(0, len(sound), OGG_BLOCK):
                file.write(sound[first : first + OGG_BLOCK])

    path.parent.mkdir(parents=True, exist_ok=True)
    write_beside(path, write)


def rendered(example: Example, model: str, sounds: Path) -> tuple[str, Array, Array]:
    """The command as it is written down, the sound, and the notes asked [n, 3] in seconds."""
    midi = ""
    beat = 60.0 / example.bpm
    if example.notes:
        file = sounds / f"listen-{example.name}.mid"
        notes = [
            PlayedNote(round(4 * start), round(4 * (start + length)), pitch, 90, 0)
            for start, length, pitch in example.notes
        ]
        write_midi(notes, file, example.bpm)
        midi = f" --midi docs/sounds/{file.name}"
    command = f"lmdm render{midi} {example.options} --out {example.name}.wav"
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "sound.wav"
        words = [*shlex.split(example.options), "--model", model, "--out", str(out), "--quiet"]
        if midi:
            words += ["--midi", str(sounds / f"listen-{example.name}.mid")]
        subprocess.run([sys.executable, "-m", "lmdm", "render", *words], check=True)
        sound, _ = soundfile.read(out, dtype="float32", always_2d=True)
    asked = np.array(
        [(s * beat, (s + length) * beat, p) for s, length, p in example.notes], np.float32
    ).reshape(-1, 3)
    return command, sound, asked


def steady(frames: int) -> BeatFrames:
    """A beat at 120 a minute."""
    beats = np.arange(frames) * FRAME / SAMPLE_RATE * 2.0
    return BeatFrames.from_positions(beats, np.full(frames, 120.0))


def swept(model: Model, caption: str, name: str, values: Sequence[float], seed: int) -> Array:
    """One control stepped through its values, four seconds each; else a prompt, beat, a chord."""
    frames = round(4.0 * SAMPLE_RATE / FRAME)
    total = frames * len(values)
    asked = {
        "beat": steady(total),
        "chord": chroma((0, 4, 7)),
        name: np.repeat(np.array(values, np.float32), frames),
    }
    return played(model, caption, asked, total, seed)


def accompanied(model: Model, latents: Path, seed: int) -> tuple[Array, Array]:
    """(input, answer) of one held-out band; the answer saw the input up to a block before."""
    seconds = 14.0
    frames = round(seconds * SAMPLE_RATE / FRAME)
    part = held_out_latents(read_manifest(latents), 1, frames, divided=True)[0].rest()
    known = part.controls(0, frames, visibility=0, block=model.stream_config.block_frames)
    values = {n: v for n, v in known.items() if n in ("beat", "accompaniment")}
    answer = played(model, part.facts["captions"][0], values, frames, seed)
    heard = sound_of(model.codec, part.arrays["accompaniment"][:, :frames])
    return heard[: len(answer)], answer


def drift(model: Model, seed: int) -> dict[str, list[float]]:
    """Loudness in dB RMS of every 5 s of two minutes, by caption, as the instrument plays it."""
    frames = round(LONG_SECONDS * SAMPLE_RATE / FRAME)
    curves = {}
    for caption in ("ambient", "jazz trio", "house, four-on-the-floor club track"):
        sound = played(model, caption, {"beat": steady(frames)}, frames, seed)
        windows = np.array_split(sound, int(LONG_SECONDS / 5))
        curves[caption] = [level_db(window) for window in windows]
    return curves


def page(model: str, latents: Path, out: Path) -> str:
    """Makes everything; returns the page."""
    sounds, pictures = out / "sounds", out / "pictures/listen"
    pictures.mkdir(parents=True, exist_ok=True)
    lines = [
        "# Listen", "",
        "What the starter plays, unedited, each sound with the command and the seed that made",
        "it. The whole page is made anew by",
        "`python -m training.recipes.starter.listen --latents data/latents`. In the pictures,",
        "colour is the level of what sounded, by pitch; outlines are the notes that were asked.",
        "",
    ]  # fmt: skip

    def add(name: str, title: str, how: str, sound: Array, asked: Array) -> None:
        write_ogg(sounds / f"listen-{name}.ogg", sound)
        picture = pictures / f"{name}.png"
        plots.piano_roll_over_spectrogram(picture, asked, sound, title)
        with Image.open(picture) as full:
            few = full.convert("RGB").quantize(COLOURS)
        write_beside(picture, lambda part: few.save(part, "PNG", optimize=True))
        lines.extend([
            f"## {title}", "", f"[listen-{name}.ogg](sounds/listen-{name}.ogg)", "",
            f"```\n{how}\n```", "", f"![{title}](pictures/listen/{name}.png)", "",
        ])  # fmt: skip

    for example in tqdm(EXAMPLES, desc="examples"):
        command, sound, asked = rendered(example, model, sounds)
        add(example.name, example.title, command, sound, asked)
    loaded = load(model)
    heard = loaded.conditioning.names if loaded.conditioning is not None else ()
    nothing = np.zeros((0, 3), np.float32)
    own = "python -m training.recipes.starter.listen --latents data/latents  # seed {}"
    for name, caption, values in (
        ("density", "solo piano improvisation", (0.15, 0.4, 0.65, 0.9)),
        ("brightness", "string ensemble", (0.35, 0.45, 0.55, 0.65)),
    ):
        if name in heard:
            title = f"{name.capitalize()} asked of {caption}: {', '.join(map(str, values))}"
            add(name, title, own.format(6), swept(loaded, caption, name, values, 6), nothing)
    if "accompaniment" in heard:
        played_to, answer = accompanied(loaded, latents, 7)
        title = "An answer to a held-out band's part: the part (left), the answer (right)"
        sides = np.stack([played_to.mean(axis=1), answer.mean(axis=1)], axis=1)
        add("accompaniment", title, own.format(7), sides, nothing)
    plots.curves(pictures / "drift.png", drift(loaded, 8), LONG_SECONDS, "loudness_db")
    lines += [
        "## Two minutes on end", "",
        "Loudness (dB RMS, windows of 5 s) of a prompt alone, as the instrument plays it",
        f"({ANSWER_DB:g} dB asked for), seed 8.", "",
        "![loudness over two minutes](pictures/listen/drift.png)", "",
        "What judges say of two minutes along ten held-out pieces, beside the real ones and the",
        "codec's round trip: [the starter's report](reports/starter/report.md).", "",
    ]  # fmt: skip
    return "\n".join(lines)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description="make docs/listen.md, its sounds and pictures")
    parser.add_argument("--model", default="starter", help="model name or folder")
    parser.add_argument("--latents", type=Path, required=True, help="the corpus, encoded")
    parser.add_argument("--out", type=Path, default=Path("docs"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    (options.out / "sounds").mkdir(parents=True, exist_ok=True)
    try:
        text = page(options.model, options.latents, options.out)
    except InputError as problem:
        print(f"error: {problem}", file=sys.stderr)
        raise SystemExit(2) from None
    write_beside(options.out / "listen.md", lambda part: part.write_text(text))


if __name__ == "__main__":
    main()
