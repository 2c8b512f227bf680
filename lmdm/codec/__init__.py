"""Codecs: stereo audio to latent frames and back, one-shot or streaming.

Import the submodule you need: `spectral` (the starter codec), `streaming` (block-by-block decode).
"""
