"""The instrument panel: it sends control messages and draws snapshots, and knows nothing else.

No torch, no devices: the composition root (`lmdm.cli`) gives it callables to send, to look and to
hear with.
"""
