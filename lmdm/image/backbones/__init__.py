"""Frozen vision backbones, all behind one protocol; `registry.load` finds one by name or path."""
