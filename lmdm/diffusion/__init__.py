"""Diffusion theory as a library: schedules, predictions, solvers; tokens in `discrete`.

Pure functions and frozen objects; import the submodule you need. docs/theory.md is the map.
"""
