"""Streaming generation, one block at a time. Import the submodule you need: `block_stream`."""
