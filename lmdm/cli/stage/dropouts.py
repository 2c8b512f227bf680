"""How often the sound ran out, and why."""

from __future__ import annotations

from audio_io.output import Output
from lmdm.live.messages import Dropout
from lmdm.live.player import Player


class Dropouts:
    """Of output and engine together, since the music began: before, there is nothing to hear.

    Threads: may be used from any thread.
    """

    def __init__(self, output: Output, player: Player) -> None:
        self._output, self._player = output, player
        self._before: int | None = None  # of the output, while the engine loaded

    def begin(self) -> None:
        """The music begins."""
        self._before = self._of_output()
        self._output.begin()

    def _of_output(self) -> int:
        stats = self._output.stats()
        return stats.underruns + stats.starvations

    @property
    def count(self) -> int:
        """Times that it ran out."""
        if self._before is None:
            return 0
        return self._of_output() - self._before + self._player.starvations

    @property
    def history(self) -> tuple[Dropout, ...]:
        """The newest, in order of time."""
        if self._before is None:
            return ()
        both = (*tuple(self._output.dropouts), *tuple(self._player.dropouts))
        return tuple(sorted(both, key=lambda each: each.seconds))
