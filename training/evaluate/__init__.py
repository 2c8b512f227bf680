"""How good a model is: drift, notes and beat followed, prompts, codec. `lmdm train evaluate`."""
