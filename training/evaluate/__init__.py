"""How good a model is: notes and beat followed, codec, rollouts. `python -m training.evaluate`."""
