"""Gives up quality before the sound runs out, and takes it back when there is time again.

It watches two things: how much of its time the engine needs to make a block, and how much sound
lies ahead. It acts at once and lets go slowly, so that it does not swing to and fro.
"""

from __future__ import annotations

MOST_ECONOMY = 3
PRESSED_FACTOR = 0.9  # real-time factor above which the engine will fall behind
SLOW_FACTOR = 0.6  # above which a lead that is gone takes long to come back
LOW_SHARE = 0.4  # of the lead asked for: less is danger, if it lasts
LOW_SECONDS = 1.0  # a control takes back what lies ahead, which a quick engine soon makes anew
EASY_FACTOR = 0.55  # what a block would take with one level less must be below
FULL_SHARE = 0.8  # of the lead asked for: so much must be there again
HOLD_SECONDS = 0.7  # between two steps up: the first must show its effect
REST_SECONDS = 6.0  # of ease before a step down


def economical(steps: int, level: int) -> int:
    """Denoising steps a block at a level of economy: a quarter fewer each, at least 1.

    >>> [economical(4, level) for level in range(4)], [economical(8, level) for level in range(4)]
    ([4, 3, 2, 1], [8, 6, 4, 2])
    """
    return max(1, round(steps * (1.0 - 0.25 * level)))


class Governor:
    """Decides the level of economy from 0 (none) to 3.

    Threads: none; the engine calls it between blocks.
    """

    def __init__(self) -> None:
        self.on = True
        self.level = 0
        self.reason = ""  # in the musician's words; empty at level 0
        self._filled = False  # whether the lead was there once: before, nothing is in danger
        self._changed_at = float("-inf")
        self._eased_at: float | None = None
        self._low_since: float | None = None

    def decide(self, now: float, factor: float, ahead: float, lead: float) -> int:
        """The level for the next block.

        now: seconds of any clock. factor: time a block takes now / its duration. ahead, lead:
        seconds of sound that lie ahead, and that are asked for.
        """
        self._filled = self._filled or ahead >= FULL_SHARE * lead
        if not self.on:
            self.level, self.reason = 0, ""
            return 0
        low = self._filled and ahead < LOW_SHARE * lead and factor > SLOW_FACTOR
        self._low_since = (now if self._low_since is None else self._low_since) if low else None
        pressed = self._pressed(now, factor, ahead)
        if pressed:
            self._eased_at = None
            if self.level < MOST_ECONOMY and now - self._changed_at >= HOLD_SECONDS:
                self.level, self._changed_at = self.level + 1, now
                self.reason = pressed
        elif self.level > 0:
            relief = (4 - self.level) / (5 - self.level)  # share of the steps there would be
            easy = factor / relief < EASY_FACTOR and ahead >= FULL_SHARE * lead
            self._eased_at = (now if self._eased_at is None else self._eased_at) if easy else None
            if self._eased_at is not None and now - self._eased_at >= REST_SECONDS:
                self.level, self._changed_at, self._eased_at = self.level - 1, now, None
                if self.level == 0:
                    self.reason = ""
        return self.level

    def _pressed(self, now: float, factor: float, ahead: float) -> str:
        if factor > PRESSED_FACTOR:
            return f"the engine needs {100 * factor:.0f} % of its time"
        if self._low_since is not None and now - self._low_since >= LOW_SECONDS:
            return f"only {1000 * ahead:.0f} ms of sound are ready"
        return ""

    def words(self, steps: int) -> str:
        """What is given up, and why; empty when nothing is.

        steps: those the musician asks for.
        """
        if self.level == 0:
            return ""
        return f"{economical(steps, self.level)} steps instead of {steps}: {self.reason}"
