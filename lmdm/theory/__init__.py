"""Trained examples of `lmdm.diffusion`: its theorems with networks, on text and on music."""
