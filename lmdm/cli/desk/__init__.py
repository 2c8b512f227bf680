"""The desk: what lies around a performance and must never hold it up.

Takes to hear and render again, presets, models and the doctor's word on them. Slow things run in
processes of their own; the panel sees them in `Snapshot.jobs`.
"""

from lmdm.cli.desk.desk import Desk

__all__ = ["Desk"]
