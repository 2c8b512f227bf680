"""What token models are trained on: characters of a text file, Markov text, bars of MIDI files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from lmdm.errors import InputError
from lmdm.theory import bars
from lmdm.theory.markov import MarkovText

HELD_OUT = 0.1


@dataclass(frozen=True)
class Tokens:
    """Training and held-out sequences [N, L], and what the tokens are called."""

    train: Tensor
    test: Tensor
    alphabet: tuple[str, ...]
    layout: str
    about: str


def read(data: str, length: int, seed: int = 0) -> Tokens:
    """Tokens of "markov", of a text file, or of a folder of MIDI files.

    length: of a sequence, in characters or, for MIDI, in bars.

    Raises:
        InputError: there is no such file or folder, or too little in it.
    """
    if data == "markov":
        text = MarkovText(length=length)
        drawn = text.draw(100_000, seed + 1), text.draw(4096, seed + 2)
        about = f"order-1 Markov text, entropy {text.entropy:.4f} nats a token"
        return Tokens(*drawn, tuple("abcdefgh"), "text", about)
    path = Path(data)
    if path.is_dir():
        return _midi(path, length, seed)
    return _characters(path, length)


def _characters(path: Path, length: int) -> Tokens:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as problem:
        raise InputError(f"{path} cannot be read: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file in UTF-8") from None
    alphabet = tuple(sorted(set(text)))
    if len(alphabet) < 2 or len(text) < 20 * length:
        raise InputError(
            f"{path} has {len(text)} characters, {len(alphabet)} different; sequences of {length} "
            f"need at least {20 * length} and two different ones"
        )
    code = {character: token for token, character in enumerate(alphabet)}
    tokens = torch.tensor([code[character] for character in text])
    cut = round(len(tokens) * (1 - HELD_OUT))
    train = tokens[:cut].unfold(0, length, max(1, length // 8))
    test = tokens[cut:].unfold(0, length, max(1, length // 2))
    return Tokens(train, test, alphabet, "text", f"{len(text)} characters of {path.name}")


def _midi(folder: Path, length: int, seed: int) -> Tokens:
    corpus = bars.read_corpus(folder, length)
    order = torch.randperm(len(corpus.windows), generator=torch.Generator().manual_seed(seed))
    windows = bars.in_home_key(corpus.windows[order])
    cut = max(1, round(len(windows) * HELD_OUT))
    test, train = windows[:cut], windows[cut:]
    if len(train) < 1:
        raise InputError(f"{folder} has one window of {length} bars; give more MIDI files")
    about = f"{corpus.files} MIDI files, {len(windows)} windows of {length} bars, in one key"
    if corpus.skipped:
        about += f", {len(corpus.skipped)} files skipped"
    return Tokens(train, test, bars.ALPHABET, "bars", about)
