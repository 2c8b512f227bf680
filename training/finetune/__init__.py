"""Stage 1: a diffusion model learns to go on from clean context (dossier §3)."""
