"""Sound and MIDI in and out of the machine: devices, output, input, limiter, takes. Torch-free."""
