"""Keeps an output on the device the musician chose: changed while playing, lost, found again.

keeper = DeviceKeeper(output, wanted="usb")
keeper.select("headphones")      # returns at once; the sound moves when the device is open
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from audio_io.devices import AudioDevice
from audio_io.hosted import HostedDevice, list_devices
from audio_io.output import Output
from audio_io.playout import NO_DEVICE, DevicePlayout, Playout
from lmdm.errors import GoingOn, InputError

CAPACITY_MS = 1000.0  # of every device's ring: room for any buffer that can be asked for
_POLL_SECONDS = 0.05


class DeviceKeeper:
    """Opens, changes and reopens the device of one output.

    While a device is lost the output plays into a clock, so music and take go on; the device is
    looked for by its name and takes over when it is back. A device that cannot be opened leaves the
    one that plays alone.

    Threads: one thread of its own opens devices; everything may be called from any thread and
    returns at once. `on_change` is called in that thread when something is worth telling.
    """

    def __init__(self, output: Output, on_change: Callable[[str], None] = lambda _: None) -> None:
        """`on_change(text)` gets one line for the musician."""
        self._output, self._say = output, on_change
        self._wanted: str | None = None
        self._selecting = False
        self._awaited: HostedDevice | None = None
        self._returned: Playout | None = None
        self._name = output.stats().device
        self._devices: tuple[AudioDevice, ...] = ()
        self._wake = threading.Event()
        self._scanning = True
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="audio devices", daemon=True)
        self._thread.start()

    @property
    def devices(self) -> tuple[AudioDevice, ...]:
        """What there was at the last look (see `scan`)."""
        return self._devices

    def select(self, wanted: str | None) -> None:
        """Plays through another device (see `devices.choose_device`); None is the default one."""
        self._wanted, self._selecting = wanted or None, True
        self._wake.set()

    def scan(self) -> None:
        """Looks for devices anew."""
        self._scanning = True
        self._wake.set()

    def close(self) -> None:
        """Ends the looking; the output and its device stay as they are."""
        self._closing = True
        self._wake.set()
        if self._awaited is not None:
            self._awaited.cancel()
        self._thread.join()
        if self._returned is not None:
            self._returned.close()

    # --- our thread -----------------------------------------------------------------------------

    def _run(self) -> None:
        going_on = GoingOn("audio devices", self._say)
        while not self._closing:
            with going_on:
                self._turn()
            self._wake.wait(_POLL_SECONDS)
            self._wake.clear()

    def _turn(self) -> None:
        if self._selecting:
            self._selecting = False
            self._select(self._wanted)
        if self._returned is not None:
            returned, self._returned = self._returned, None
            self._use(returned)
        idle = self._awaited is None and not self._output.switching
        if idle and self._output.stats().device_lost:
            self._look_for(self._name)
        if self._scanning:
            self._scanning = False
            self._look_around()

    def _select(self, wanted: str | None) -> None:
        hosted = HostedDevice("output", wanted, buffer_ms=CAPACITY_MS)
        try:
            hosted.finish()
        except InputError as problem:
            self._say(str(problem))
            return
        if self._awaited is not None:
            self._awaited.cancel()
        self._use(DevicePlayout(hosted))

    def _use(self, playout: Playout) -> None:
        self._name, self._awaited = playout.name, None
        self._output.switch(playout)
        self._say(f"playing through {playout.name} at {playout.rate} Hz")
        self._scanning = True

    def _look_for(self, name: str) -> None:
        if name == NO_DEVICE:
            return
        self._say(f"the audio device {name} is gone: playing into nothing until it is back")
        awaited = HostedDevice("output", name, buffer_ms=CAPACITY_MS, wait=True)
        self._awaited = awaited

        def wait() -> None:
            if awaited.finish() and not self._closing and self._awaited is awaited:
                self._returned = DevicePlayout(awaited)
                self._wake.set()
            else:
                awaited.close()

        threading.Thread(target=wait, name="audio device return", daemon=True).start()

    def _look_around(self) -> None:
        try:
            self._devices = tuple(list_devices())
        except InputError:
            self._devices = ()
