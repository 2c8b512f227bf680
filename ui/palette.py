"""The colours, and nothing else; `ui.theme` says what they are for and where they come from."""

from __future__ import annotations

GROUND = "#111317"  # behind everything
PANEL = "#1a1d23"  # a group of controls
WELL = "#0c0e11"  # what is drawn into: pictures, text fields, tracks
AHEAD = "#15181d"  # of the sound to come, while there is none
RAISED = "#272c35"  # a button
LINE = "#343b47"  # edges
TEXT = "#eceff4"
FAINT = "#5d6675"  # what cannot be used now
QUIET = "#a3adbd"  # captions, units
ACCENT = "#6cc1f2"  # what the musician sets
CHOSEN = "#2c4a60"  # a button that is on
FRESH = "#34c39a"  # what the model hears or gives
WARNING = "#f0b429"
ALARM = "#ff7a59"
