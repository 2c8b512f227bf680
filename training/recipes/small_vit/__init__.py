"""The small ViT that `lmdm image decq` ships as its offline backbone."""
