"""Stage 2, ARC-Forcing: rollouts of the playing stream, judged as a whole (dossier §4)."""
