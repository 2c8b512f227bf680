"""How much guidance counts where a block is denoised in fewer steps than its model was made for.

Guided steps overshoot, and later ones take that back. Too few leave it standing: the starter, made
for four, plays keys 16 dB louder in two at guidance 2.5, and without guidance 10 to 19 dB softer.
So where the steps are cut, by the musician or the governor, less of the guidance above 1 is used.
"""

from __future__ import annotations

# share of the model's own steps -> share of the guidance above 1 that keeps the level best
# (measured, docs/live.md); straight lines between
SHARES = ((0.25, 0.5), (0.5, 0.6), (0.75, 1.0))


def guidance_used(asked: float, steps: int, usual: int) -> float:
    """The guidance of a block in `steps` steps by a model whose own number is `usual`.

    >>> [round(guidance_used(2.5, steps, 4), 2) for steps in (1, 2, 3, 4, 8)]
    [1.75, 1.9, 2.5, 2.5, 2.5]
    >>> guidance_used(0.5, 1, 4)
    0.5
    """
    if asked <= 1.0:
        return asked
    share, (low, counts), *rest = steps / usual, *SHARES
    for high, most in rest:
        within = min(1.0, max(0.0, (share - low) / (high - low)))
        low, counts = high, counts + (most - counts) * within
    return 1.0 + counts * (asked - 1.0)
