"""Soft takeover: a knob that is not where its control stands does not make it jump.

>>> takeover = SoftTakeover("pickup")
>>> [takeover.moved(hand, now=0.5) for hand in (0.1, 0.3, 0.52, 0.6)]
[None, None, 0.52, 0.6]
"""

from __future__ import annotations

NEAR = 0.02  # a knob so close has the control; a 7-bit step is 0.008


class SoftTakeover:
    """Follows one absolute knob; shares are 0 to 1.

    `jump` gives every position at once; `pickup` none until the knob passes where the control
    stands; `scale` moves the control in the knob's direction, by as much of what is left as the
    knob takes of what is left to it, so that both reach the end together.

    A control that others have moved meanwhile has to be picked up again.

    Threads: none.
    """

    def __init__(self, mode: str) -> None:
        """`mode`: one of `lmdm.live.messages.TAKEOVERS`."""
        self._mode = mode
        self._given: float | None = None  # where the knob left the control, while it has it
        self.hand: float | None = None  # where the knob is

    @property
    def holds(self) -> bool:
        """Whether the knob has the control."""
        return self._mode == "jump" or self._given is not None

    def left_at(self, share: float | None) -> None:
        """Where the control really went: steps and limits may have moved it from what was asked."""
        if self._given is not None:
            self._given = share

    def moved(self, hand: float, now: float | None) -> float | None:
        """Where the control goes when the knob is at `hand`; None: it stays.

        It stands at `now`, None if nowhere.
        """
        before, self.hand = self.hand, hand
        if self._given is not None and now is not None and abs(now - self._given) > NEAR:
            self._given = None
        if self._mode == "jump" or now is None or self._given is not None:
            self._given = hand
            return hand
        if abs(hand - now) <= NEAR or (before is not None and (before - now) * (hand - now) <= 0.0):
            self._given = hand
            return hand
        if self._mode == "scale" and before is not None and hand != before:
            end = 1.0 if hand > before else 0.0
            left = abs(end - before)
            return now + (end - now) * (abs(hand - before) / left if left > 0.0 else 1.0)
        return None
