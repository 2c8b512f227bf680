"""A controller gone mad: 1000 control changes a second on a JACK MIDI port, until it is killed.

    python -m tests.soak.flood

Eight faders of a mixer in turn, among them prompt blend, level and guidance; a key each second.
"""

from __future__ import annotations

import math
import time

import rtmidi

RATE = 1000
CONTROLLERS = (1, 7, 74, 20, 21, 22, 23, 24)
NAME = "soak"

if __name__ == "__main__":
    port = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name=NAME)
    port.open_virtual_port("out")
    begun = time.perf_counter()
    sent = 0
    while True:
        while sent < (time.perf_counter() - begun) * RATE:
            number = CONTROLLERS[sent % len(CONTROLLERS)]
            swing = 0.5 + 0.5 * math.sin(2 * math.pi * sent / RATE / (3 + number % 5))
            low = 64 if number == 7 else 0  # the level stays audible
            port.send_message([0xB0, number, low + int((127 - low) * swing)])
            if sent % RATE == 0:
                port.send_message([0x90, 48 + sent // RATE % 24, 90])
            if sent % RATE == RATE // 2:
                port.send_message([0x80, 48 + sent // RATE % 24, 0])
            sent += 1
        time.sleep(0.001)
