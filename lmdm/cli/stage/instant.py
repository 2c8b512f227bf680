"""The instant lane: level, mute, effects and live input, done in the audio path at once."""

from __future__ import annotations

from typing import Any

from audio_io.output import Output
from lmdm.cli.stage.live_input import LiveInput
from lmdm.live import messages as m
from lmdm.live.messages import Message


class Instant:
    """Does instant-lane messages and remembers where they left the audio path.

    Threads: may be used from any thread; the output takes new values over by itself.
    """

    def __init__(self, output: Output, live_input: LiveInput) -> None:
        self._output, self._live_input = output, live_input
        self.gain_db, self.muted = 0.0, False
        self._shown: dict[str, Any] = {}

    def do(self, message: Message) -> bool:
        """Does what a message asks; False if it is about something else."""
        output = self._output
        match message:
            case m.SetGain(gain_db=gain_db):
                self.gain_db = gain_db
                output.set_gain_db(gain_db)
            case m.Mute(on=on):
                self.muted = on
                output.set_mute(on)
            case m.Panic():
                self.muted = True
                output.panic()
            case m.SetWet(amount=amount):
                self._shown["wet"] = amount
                output.set_wet(amount)
            case m.SetDry(amount=amount):
                self._shown["dry"] = amount
                output.set_dry(amount)
            case m.SetLowPass(cutoff=cutoff):
                self._shown["low_pass"] = cutoff
                output.set_low_pass(cutoff)
            case m.SetHighPass(cutoff=cutoff):
                self._shown["high_pass"] = cutoff
                output.set_high_pass(cutoff)
            case m.SetInputGain(gain_db=gain_db):
                self._live_input.set_gain_db(gain_db)
            case _:
                return False
        return True

    def fields(self) -> dict[str, Any]:
        """What the snapshot says of it."""
        return {"gain_db": self.gain_db, "muted": self.muted, **self._shown}
