"""Every key of the panel, once: the window binds them, and `?` lists them. Pure; no Qt."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Shortcut:
    """Keys as Qt writes them, or as the musician reads them, and what they do."""

    keys: str
    what: str
    action: str = ""  # the name the window knows it by; empty: told here, done elsewhere


@dataclass(frozen=True)
class Group:
    """Shortcuts that belong together."""

    name: str
    shortcuts: tuple[Shortcut, ...]


PLAYING = Group(
    "Playing",
    (
        Shortcut("A … P", "piano keys: white A S D …, black W E T …"),
        Shortcut("Z   X", "octave down, up"),
        Shortcut("C   V", "touch softer, louder"),
        Shortcut("/", "sustain pedal"),
        Shortcut("B", "tap the tempo"),
        Shortcut("N", "the bar begins now"),
        Shortcut("1 … 8", "call a scene"),
        Shortcut("Shift+1 … 8", "keep a scene"),
    ),
)
SAFETY = Group(
    "Safety",
    (
        Shortcut("Ctrl+.", "panic: silence at once", "panic"),
        Shortcut("Ctrl+M", "mute, unmute", "mute"),
        Shortcut("Ctrl+R", "record, end the take", "record"),
        Shortcut("Ctrl+L", "lock the stage", "lock"),
        Shortcut("Ctrl+Z", "undo an edit", "undo"),
        Shortcut("Ctrl+Shift+Z", "redo it", "redo"),
    ),
)
WINDOW = Group(
    "Window",
    (
        Shortcut("?", "this list"),
        Shortcut("F11", "full screen", "full screen"),
        Shortcut("Ctrl+,", "set-up", "set-up"),
        Shortcut("Ctrl+K", "MIDI mappings", "mappings"),
        Shortcut("Ctrl+P", "presets", "presets"),
        Shortcut("Ctrl+T", "takes", "takes"),
        Shortcut("Ctrl++", "larger letters", "larger"),
        Shortcut("Ctrl+-", "smaller letters", "smaller"),
        Shortcut("Tab, Shift+Tab", "next control, last"),
        Shortcut("Arrows", "change the control"),
        Shortcut("Menu, Shift+F10", "learn a MIDI knob"),
    ),
)
GROUPS = (PLAYING, SAFETY, WINDOW)
