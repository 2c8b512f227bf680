"""Codec training: reconstruction, adversarial and bottleneck losses, each logged apart."""
