"""Corpus, codec, diffusion: everything that makes a model. Calls the modules that play it."""
