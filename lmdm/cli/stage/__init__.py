"""A performance on the machine's real devices: engine, output, clocks, take, OSC, joined."""
