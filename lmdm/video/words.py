"""The little language of the toy models: a prompt is a bag of known words."""

from __future__ import annotations

import torch
from torch import Tensor

from lmdm.errors import InputError

SHAPES = ("square", "disc", "cross", "ring")
COLOURS = {
    "red": (0.9, 0.15, 0.1),
    "green": (0.1, 0.75, 0.2),
    "blue": (0.15, 0.25, 0.95),
    "yellow": (0.95, 0.85, 0.1),
    "magenta": (0.85, 0.15, 0.8),
    "cyan": (0.1, 0.8, 0.85),
}
DIRECTIONS = {"right": (0.0, 1.0), "down": (1.0, 0.0), "left": (0.0, -1.0), "up": (-1.0, 0.0)}
SPEEDS = {"slow": 0.04, "fast": 0.10}  # of the picture's height, a frame
EDITS = (
    "recolour", "reshape", "reverse", "shape", "colour", "direction", "of", "first", "second",
    "third", "opposite", "any", "keep",
)  # fmt: skip
PAD = 0
VOCABULARY = ("", *SHAPES, *COLOURS, *DIRECTIONS, *SPEEDS, *EDITS)
LONGEST_PROMPT = 12  # words


def encode(prompt: str) -> Tensor:
    """The word ids of a prompt, padded: long [LONGEST_PROMPT]. "" is the empty prompt.

    Raises:
        InputError: a word that the models were not taught, or too many words.
    """
    words = prompt.lower().replace(",", " ").split()
    if len(words) > LONGEST_PROMPT:
        raise InputError(f"the prompt has {len(words)} words; at most {LONGEST_PROMPT} are read")
    for word in words:
        if word not in VOCABULARY:
            known = ", ".join(VOCABULARY[1:])
            raise InputError(f"the toy models do not know {word!r}; they know: {known}")
    ids = [VOCABULARY.index(word) for word in words]
    return torch.tensor(ids + [PAD] * (LONGEST_PROMPT - len(ids)))
