"""Continuous diffusion: paths, schedules, samplers. Pure functions; import the submodule you need."""
