"""LMDM Live: a streaming latent-diffusion music instrument."""
