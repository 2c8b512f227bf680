"""Undo and redo of the musician's edits of controls.

>>> from lmdm.live.messages import SetGuidance
>>> edits = Edits()
>>> edits.note(Controls(), SetGuidance(4.0), now=0.0)
>>> edits.undo(Controls(guidance=4.0))
SetControls(settings={'guidance': 1.5}, scene='')
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

from lmdm.live.controls import SETTERS, Controls
from lmdm.live.messages import Message, Quantised, SetControls

MOST_EDITS = 200
ONE_GESTURE_SECONDS = 0.7  # moves of one control closer than this are one edit


@dataclass(frozen=True)
class _Edit:
    before: Controls
    kind: type[Message]
    at: float


class Edits:
    """What was changed, newest last.

    Threads: every method may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._done: list[_Edit] = []
        self._undone: list[Controls] = []  # controls after each edit that was taken back

    @property
    def undoable(self) -> bool:
        """Whether there is something to take back."""
        return bool(self._done)

    @property
    def redoable(self) -> bool:
        """Whether something was taken back."""
        return bool(self._undone)

    def note(self, before: Controls, message: Message, now: float) -> None:
        """A message is about to change the controls; others are passed over."""
        change = message.change if isinstance(message, Quantised) else message
        if before.after(change) == before:
            return
        with self._lock:
            last = self._done[-1] if self._done else None
            same = last is not None and last.kind is type(change)
            if same and last is not None and now - last.at < ONE_GESTURE_SECONDS:
                self._done[-1] = _Edit(last.before, last.kind, now)
            else:
                self._done.append(_Edit(before, type(change), now))
            del self._done[:-MOST_EDITS]
            self._undone.clear()

    def undo(self, present: Controls) -> Message | None:
        """What takes the last edit back; None if there is none."""
        with self._lock:
            if not self._done:
                return None
            self._undone.append(present)
            return _difference(present, self._done.pop().before)

    def redo(self, present: Controls) -> Message | None:
        """What makes the edit again that was taken back last; None if there is none."""
        with self._lock:
            if not self._undone:
                return None
            after = self._undone.pop()
            self._done.append(_Edit(present, SetControls, float("-inf")))
            return _difference(present, after)


def _difference(present: Controls, wanted: Controls) -> Message:
    values = wanted.to_dict()
    names = [name for name in SETTERS if getattr(present, name) != getattr(wanted, name)]
    return SetControls({name: values.get(name) for name in names})
