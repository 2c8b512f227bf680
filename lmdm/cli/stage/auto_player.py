"""The auto-player: bars from the bundled generator, played into a performance as notes.

It is a MIDI source like a keyboard: it sends NoteOn and NoteOff, and nothing else changes. Bars are
sampled in a process of their own, so that neither sound nor window waits for them.
"""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection

from lmdm.live.messages import Message, NoteOff, NoteOn, Snapshot

BEATS = 4  # a bar
NFE = 24  # network evaluations a bar
TEMPERATURE = 0.9
LONGEST_WAIT = 0.02  # seconds between looks at the clock

Event = tuple[float, Message]  # beat from the bar's downbeat


def events_of(notes: Iterable[tuple[float, float, int, int]]) -> list[Event]:
    """Messages of a bar's notes (start, end in sixteenths, pitch, velocity), in order of time.

    Where a note ends as the same pitch is struck, it ends first; a pitch that several notes hold
    sounds until the last lets go.
    """
    merged: list[tuple[float, float, int, int]] = []
    for start, end, pitch, velocity in sorted(notes, key=lambda note: (note[2], note[0])):
        if merged and merged[-1][2] == pitch and start < merged[-1][1]:
            first, last, _, loudest = merged.pop()
            merged.append((first, max(last, end), pitch, max(loudest, velocity)))
        else:
            merged.append((start, end, pitch, velocity))
    events: list[tuple[float, int, Message]] = []
    for start, end, pitch, velocity in merged:
        events.append((start / 4, 1, NoteOn(pitch, velocity)))
        events.append((end / 4, 0, NoteOff(pitch)))
    return [(beat, message) for beat, _, message in sorted(events, key=lambda each: each[:2])]


class AutoPlayer:
    """Plays bars on the beat of a performance until it is stopped.

    Threads: one of its own calls `send` and `snapshot`, which may be called from any thread;
    `start` and `stop` belong to the thread that made it. `stop` ends every note that it began.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        snapshot: Callable[[], Snapshot],
        seed: int = 0,
        bars: Connection | None = None,
    ) -> None:
        """bars: where bars come from instead of the generator's process, as lists of notes."""
        self._send, self._snapshot = send, snapshot
        self._stopping = threading.Event()
        self._process: multiprocessing.process.BaseProcess | None = None
        if bars is None:
            context = multiprocessing.get_context("spawn")
            bars, theirs = context.Pipe()
            self._process = context.Process(
                target=generate, args=(theirs, seed), name="auto-player", daemon=True
            )
        self._bars = bars
        self._thread = threading.Thread(target=self._play, name="auto-player", daemon=True)

    def start(self) -> None:
        """Begins with the first whole bar once bars are there and something is heard."""
        if self._process is not None:
            self._process.start()
        self._thread.start()

    def stop(self) -> None:
        """Ends the notes that sound, and the generator."""
        self._stopping.set()
        self._thread.join(2.0)
        if self._process is not None and self._process.pid is not None:
            self._process.terminate()
            self._process.join(2.0)
        self._bars.close()

    def _play(self) -> None:
        sounding: set[int] = set()
        downbeat: float | None = None
        with suppress(EOFError, OSError):  # the generator has gone: no more bars
            while not self._stopping.is_set():
                if not self._bars.poll(LONGEST_WAIT):
                    continue
                events = events_of(self._bars.recv())
                self._bars.send(None)  # ask for the next one
                if not self._wait_until(0.0):
                    break
                now = self._snapshot().heard_beat
                if downbeat is None or now > downbeat + BEATS:  # at first, or far behind
                    downbeat = BEATS * float(-(-now // BEATS))
                for beat, message in events:
                    if not self._wait_until(downbeat + beat):
                        break
                    self._send(message)
                    if isinstance(message, NoteOn):
                        sounding.add(message.pitch)
                    elif isinstance(message, NoteOff):
                        sounding.discard(message.pitch)
                downbeat += BEATS
        for pitch in sorted(sounding):
            self._send(NoteOff(pitch))

    def _wait_until(self, beat: float) -> bool:
        """Waits until the musical clock is so near that what is sent is heard on the beat.

        The clock is the performance's own, so tempo changes and pauses are followed. Returns False
        when the player is stopped.
        """
        while not self._stopping.is_set():
            seen = self._snapshot()
            latency = seen.latency.get("block")
            early = latency.p50 / 1000.0 if latency is not None else 0.0
            left = (beat - seen.heard_beat) * 60.0 / seen.bpm - early
            if seen.heard > 0 and left <= 0.0:  # before the first sound there is no beat
                return True
            self._stopping.wait(min(max(left, 0.001), LONGEST_WAIT))
        return False


@contextmanager
def playing(
    send: Callable[[Message], None], snapshot: Callable[[], Snapshot], seed: int
) -> Iterator[None]:
    """The auto-player at the keys of a performance, as long as the context lasts."""
    player = AutoPlayer(send, snapshot, seed)
    player.start()
    try:
        yield
    finally:
        player.stop()


def generate(bars: Connection, seed: int) -> None:
    """The generator's process: a bar ahead of each one that is asked for, until the pipe closes."""
    import torch

    from lmdm.theory.bars import DRUM_CHANNEL, notes_of
    from lmdm.theory.player import bundled, endless_bars

    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(seed)
    with suppress(EOFError, OSError, KeyboardInterrupt):
        for bar in endless_bars(bundled(), NFE, generator, TEMPERATURE):
            notes = [
                (note.start, note.end, note.pitch, note.velocity)
                for note in notes_of(bar)
                if note.channel != DRUM_CHANNEL  # the model hears pitches
            ]
            bars.send(notes)
            bars.recv()
