"""Continuous diffusion: path, schedule, samplers. Pure functions; import the submodule you need."""
