"""Scripts that reproduce published claims at a small scale; their reports are in docs/."""
