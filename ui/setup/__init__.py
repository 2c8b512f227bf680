"""The set-up: sound, MIDI, clock and model, beside the panel, never in its way."""

from ui.setup.dialog import SetupDialog

__all__ = ["SetupDialog"]
