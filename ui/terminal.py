"""The terminal view: one status line, and keys for everything. Torch-free.

    space  mute                  p  panic                q  quit
    enter  play, pause           r  record               v  loop the last bar
    + -    guidance              [ ]  prompt blend       , .  tempo
    b      tap the tempo         1 to 9  scene           n  keep as a new scene
    z c    undo, redo            l  learn a knob for the chosen control (l again: not)
    up down  choose a control    left right  move it     :  type a message, such as
                                                            : set_prompts "felt piano" 1 choir 0.5
    a w s e d f t g y h u j k    notes from C to C (each sounds for half a second)
    ?      these lines

On a terminal the line is refreshed in place and keys act at once; into a file or a pipe a line is
written every five seconds of playing.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import TracebackType
from typing import TextIO

from lmdm.errors import InputError
from lmdm.live.messages import (
    BeginLearn,
    CancelLearn,
    Job,
    Message,
    Mute,
    NoteOff,
    NoteOn,
    Panic,
    Pause,
    Play,
    Quit,
    RecallSceneNumber,
    RedoChange,
    SetBlend,
    SetFreeze,
    SetGuidance,
    SetTempo,
    Snapshot,
    StartRecording,
    StopRecording,
    StoreScene,
    Tap,
    UndoChange,
)
from lmdm.live.messages.loose import typed
from lmdm.live.targets import NAMED, Target, target_kinds, target_of
from ui.terminal_keys import keys_of, keys_of_terminal

NOTE_KEYS = "awsedftgyhujk"  # semitones from middle C
LOWEST_PITCH = 60
NOTE_SECONDS = 0.5
REFRESH_SECONDS = 0.1
LINE_SECONDS = 5.0
SAID_SECONDS = 6.0  # how long a line about a mistake stays
GUIDANCE_STEP, BLEND_STEP, TEMPO_STEP = 0.25, 0.05, 1.0
MOST_PROMPTS_CHOSEN = 4  # prompt weights among the controls to choose from
METER_WIDTH = 10
ENTER, ESCAPE, BACKSPACE = "\r\n", "\x1b", "\x7f\x08"


def choices() -> list[Target]:
    """The controls that the arrow keys go through."""
    names = [f"set_prompts:{number + 1}" for number in range(MOST_PROMPTS_CHOSEN)]
    names += ["set_pad:x", "set_pad:y"]
    names += [k for k in target_kinds() if k not in {"set_prompts", "set_pad"} | NAMED]
    return [target_of(name) for name in names]


class TerminalView:
    """Shows snapshots and turns keys into messages; a context manager that owns the terminal.

    Threads: one owner calls everything; `refresh` returns at once.
    """

    def __init__(
        self,
        controls: Callable[[Message], None],
        snapshots: Callable[[], Snapshot | None],
        *,
        output: TextIO | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`output`: where the line goes; standard error if None."""
        self._controls = controls
        self._look = snapshots
        self._output = output or sys.stderr
        self._clock = clock
        self._live = self._output.isatty()
        self._keys = keys_of_terminal() if self._live else None
        self._shown_at = float("-inf")
        self._last_text = ""
        self._sounding: dict[int, float] = {}  # pitch -> when it ends
        self._choices = choices()
        self._chosen: int | None = None  # the control that the arrows move
        self._typing: str | None = None  # the message that is being typed
        self._said, self._said_until = "", float("-inf")
        self._done: set[Job] = set()  # jobs that have ended

    def __enter__(self) -> TerminalView:
        if self._keys is not None:
            self._keys.open()
            self._output.write("keys: space mute, p panic, q quit, arrows any control, ? all\n")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._keys is not None:
            self._keys.close()
            self._output.write("\n")
        self._output.flush()

    def refresh(self) -> None:
        """Reads the keys pressed since the last call and shows the newest snapshot when due."""
        snapshot = self._look()
        if self._keys is not None and snapshot is not None:
            for key in keys_of(self._keys.pressed()):
                self.press(key, snapshot)
        now = self._clock()
        for pitch in [pitch for pitch, end in self._sounding.items() if end <= now]:
            del self._sounding[pitch]
            self._send(NoteOff(pitch))
        if snapshot is not None:
            done = {job for job in snapshot.jobs if job.done}
            for job in done - self._done:
                self._say(job.text)
            self._done = done
            self._show(snapshot, now)

    def _send(self, message: Message) -> None:
        """Sends a message; a mistake is shown, and ends nothing."""
        try:
            self._controls(message)
        except InputError as problem:
            self._say(str(problem))

    def _say(self, text: str) -> None:
        self._said, self._said_until = text, self._clock() + SAID_SECONDS

    # --- keys -----------------------------------------------------------------------------------

    def press(self, key: str, snapshot: Snapshot) -> None:
        """Does what a key asks for, given what the musician sees."""
        if self._typing is not None:
            self._type(key)
        elif key in ("up", "down", "left", "right"):
            self._choose(key, snapshot)
        elif key == ":":
            self._typing = ""
        elif key == "?":
            self._help()
        elif key.lower() in NOTE_KEYS:
            pitch = LOWEST_PITCH + NOTE_KEYS.index(key.lower())
            self._sounding[pitch] = self._clock() + NOTE_SECONDS
            self._send(NoteOn(pitch))
        elif key == "l":
            self._learn(snapshot)
        else:
            message = message_of_key(key.lower(), snapshot)
            if message is not None:
                self._send(message)

    def _type(self, key: str) -> None:
        """One key of a message that is typed; return sends it, escape drops it."""
        assert self._typing is not None
        if key in ENTER:
            line, self._typing = self._typing, None
            if line.strip():
                try:
                    self._send(typed(line))
                except InputError as problem:
                    self._say(str(problem))
        elif key in (ESCAPE, "\x03", "\x04"):
            self._typing = None
        elif key in BACKSPACE:
            self._typing = self._typing[:-1]
        elif key.isprintable() and len(key) == 1:
            self._typing += key

    def _choose(self, key: str, snapshot: Snapshot) -> None:
        """Up and down go through the controls; left and right move the chosen one."""
        if self._chosen is None or key in ("up", "down"):
            way = {"up": -1, "down": 1}.get(key, 0)
            place = -1 if self._chosen is None and way > 0 else self._chosen or 0
            self._chosen = (place + way) % len(self._choices)
            return
        target = self._choices[self._chosen]

        def get(field: str) -> object:
            return getattr(snapshot, field)

        share = target.share(get)
        step = (1 if key == "right" else -1) / min(20, target.detents)
        wanted = (0.5 if share is None else share) + step
        message = target.message(min(1.0, max(0.0, wanted)), get)
        if message is not None and not (target.shape == "trigger" and key == "left"):
            self._send(message)

    def _learn(self, snapshot: Snapshot) -> None:
        if snapshot.learning:
            self._send(CancelLearn())
        elif self._chosen is None:
            self._say("choose a control with the arrow keys first, then l learns a knob for it")
        else:
            self._send(BeginLearn(self._choices[self._chosen].name))

    def _help(self) -> None:
        assert __doc__ is not None
        lines = __doc__.split("\n\n")[1]
        if self._live:
            self._output.write("\r\x1b[2K")
        self._output.write(f"{lines}\n")

    # --- the line -------------------------------------------------------------------------------

    def _show(self, snapshot: Snapshot, now: float) -> None:
        if snapshot.status == "failed" or (snapshot.status == "loading" and not self._live):
            return  # whoever owns the view ends with one line that says why
        changed = snapshot.text != self._last_text
        wait = REFRESH_SECONDS if self._live else LINE_SECONDS
        if now - self._shown_at < wait and not (changed and not self._live):
            return
        self._shown_at, self._last_text = now, snapshot.text
        line = status_line(snapshot)
        if now < self._said_until:
            line = f"{self._said} | {line}"
        if self._chosen is not None:
            line = f"{chosen_words(self._choices[self._chosen], snapshot)} | {line}"
        if self._typing is not None:
            line = f": {self._typing}_"
        if self._live:
            width = _width(self._output)
            self._output.write(f"\r\x1b[2K{line[: width - 1]}")
        else:
            self._output.write(f"{line}\n")
        self._output.flush()


def message_of_key(key: str, snapshot: Snapshot) -> Message | None:
    """What a key asks for whatever is chosen; None where it means nothing."""
    blend = snapshot.blend if snapshot.blend is not None else 0.0
    fixed: dict[str, Message] = {
        " ": Mute(not snapshot.muted),
        "p": Panic(),
        "q": Quit(),
        "\x03": Quit(),
        "\x04": Quit(),
        "\r": Pause() if snapshot.transport == "playing" else Play(),
        "\n": Pause() if snapshot.transport == "playing" else Play(),
        "r": StopRecording() if snapshot.recording else StartRecording(),
        "v": SetFreeze(1.0 if snapshot.freeze is None else None),
        "+": SetGuidance(min(20.0, snapshot.guidance + GUIDANCE_STEP)),
        "=": SetGuidance(min(20.0, snapshot.guidance + GUIDANCE_STEP)),
        "-": SetGuidance(max(0.0, snapshot.guidance - GUIDANCE_STEP)),
        "]": SetBlend(min(1.0, round(blend + BLEND_STEP, 4))),
        "[": SetBlend(max(0.0, round(blend - BLEND_STEP, 4))),
        ".": SetTempo(min(400.0, round(snapshot.bpm) + TEMPO_STEP)),
        ",": SetTempo(max(20.0, round(snapshot.bpm) - TEMPO_STEP)),
        "b": Tap(),
        "n": StoreScene(f"scene {len(snapshot.scenes) + 1}"),
        "z": UndoChange(),
        "c": RedoChange(),
    }
    if key in fixed:
        return fixed[key]
    return RecallSceneNumber(int(key) - 1) if key in "123456789" and key else None


def chosen_words(target: Target, snapshot: Snapshot) -> str:
    """The control that the arrows move, and where it stands.

    >>> chosen_words(target_of("set_guidance"), Snapshot(guidance=3.5))
    '> guidance [#####.....]'
    """
    name = target.name.removeprefix("set_").replace("_", " ")
    share = target.share(lambda field: getattr(snapshot, field))
    if target.shape == "trigger":
        return f"> {name} (right does it)"
    if share is None:
        return f"> {name} [nothing to move]" if ":" in name else f"> {name} [the model decides]"
    return f"> {name} {_bar(share)}"


def status_line(snapshot: Snapshot) -> str:
    """One line that says what is going on.

    >>> status_line(Snapshot(progress=0.5, text="loading torch"))
    'loading 50%: loading torch'
    """
    if snapshot.status == "loading":
        return f"loading {snapshot.progress:.0%}: {snapshot.text}"
    if snapshot.status in ("failed", "stopped"):
        return f"{snapshot.status}: {snapshot.text}"
    seconds = snapshot.heard // 44100
    beat, bar = int(snapshot.heard_beat), max(1, snapshot.beats_per_bar)
    state = snapshot.status if snapshot.transport == "playing" else snapshot.transport
    words = [
        f"{state}{' (muted)' if snapshot.muted else ''}",
        f"{seconds // 60}:{seconds % 60:02d}",
        f"bar {beat // bar + 1}.{beat % bar + 1} at {round(snapshot.bpm, 1):g} bpm",
        _bar((max(snapshot.level_db) + 60.0) / 60.0),
        f"load {snapshot.real_time_factor:.0%}",
        f"ahead {snapshot.lead_ms:.0f} ms",
        f"underruns {snapshot.underruns}",
        f"guidance {snapshot.guidance:g}",
    ]
    if snapshot.learning:
        words.insert(0, f"LEARN {snapshot.learning}: move a knob ({snapshot.last_controller})")
    if snapshot.device_lost:
        words.insert(0, "NO DEVICE")
    if snapshot.blend is not None:
        words.append(f"blend {snapshot.blend:.2f}")
    if snapshot.clock_text:
        words.append(snapshot.clock_text)
    if snapshot.waiting:
        words.append(f"{snapshot.waiting[0].text} in {snapshot.waiting[0].beats:.0f} beats")
    if snapshot.governor:
        words.append(snapshot.governor)
    if snapshot.held:
        words.append(f"notes {' '.join(map(str, snapshot.held))}")
    if snapshot.memorization.state:
        words.append(f"memorization light: {snapshot.memorization.text}")
    if snapshot.recording:
        words.append("recording")
    if snapshot.text not in ("", "playing"):
        words.append(snapshot.text)
    return " | ".join(words)


def _bar(share: float) -> str:
    filled = round(METER_WIDTH * min(1.0, max(0.0, share)))
    return "[" + "#" * filled + "." * (METER_WIDTH - filled) + "]"


def _width(output: TextIO) -> int:
    try:
        return os.get_terminal_size(output.fileno()).columns or 80  # 0: it does not know
    except (OSError, ValueError):
        return 80
