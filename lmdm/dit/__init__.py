"""The diffusion transformer: Stable Audio's structure with LMDM's context/target routing.

Import the submodule you need: `model`, `masks`, `cache`, `config`.
"""
