"""Proximity-guided identity unlearning (arXiv 2605.22311): an identity gives way to an anchor."""
