"""What a musician can ask of a model: text, and the local controls of `local.CONTROLS`."""
