"""MIDI of a performance: what each device's controls mean, learning them, feedback to them."""
