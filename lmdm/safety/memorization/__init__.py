"""Broken Memories (arXiv 2605.22050): memorisation seen in, and met at, the sampler's updates."""
