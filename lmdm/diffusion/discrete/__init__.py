"""Uniform-state discrete diffusion ("Uniform Diffusion Models Revisited", arXiv 2605.22765)."""
