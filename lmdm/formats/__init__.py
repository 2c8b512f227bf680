"""The forms checkpoints come in: this program's own, stable-audio-tools', diffusers'; and the hub.

Import the submodule you need; `lmdm.checkpoints` reads them all.
"""
