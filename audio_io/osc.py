"""OSC in and out: every control message, and the state of the instrument.

    server = OscServer(performance.send, performance.snapshot, port=9000)
    server.reply_to("127.0.0.1", 9001)

A program that sends `/lmdm/subscribe PORT` is sent the state at that port of its machine, first
all of it, then what changes, ten times a second; `/lmdm/refresh` asks for all of it again. Packets
that make no sense give one line and change nothing.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

from audio_io.osc_messages import ROOT, arguments_of, message_of, names_file, state_of
from lmdm.errors import GoingOn, InputError
from lmdm.live.messages import Message, Snapshot

LOOPBACK = "127.0.0.1"
STATE_SECONDS = 0.1
MOST_SUBSCRIBERS = 16
_LARGEST_PACKET = 65535
_WAIT_SECONDS = 0.2
_PACE_SECONDS = 0.005  # what comes in so long is done together: of a flood the newest
_MOST_PACKETS = 1000  # at once
_LARGEST_STATE = 8000  # bytes of one value; a longer one is not sent

Address = tuple[str, int]


class OscServer:
    """Listens on a UDP port, and tells the state to whom it was asked to.

    Threads: one thread receives and calls `send`, another looks at the snapshot and sends it;
    everything else may be called from any thread.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        look: Callable[[], Snapshot],
        port: int,
        host: str = LOOPBACK,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`port` 0 takes a free one; `host` other than the loopback lets other machines in.

        Raises:
            InputError: the port is taken, or the address is none of this machine's.
        """
        self._send, self._look, self._say = send, look, say
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            self._socket.bind((host, port))
        except (OSError, OverflowError, UnicodeError) as problem:
            self._socket.close()
            raise InputError(f"OSC cannot listen at {host}:{port}: {problem}") from None
        self._socket.settimeout(_WAIT_SECONDS)
        self.host, self.port = self._socket.getsockname()
        self._subscribers: dict[Address, dict[str, list[Any]]] = {}  # -> what they know
        self._said = ""
        self._closing = threading.Event()
        self._threads = [
            threading.Thread(target=run, name=name, daemon=True)
            for run, name in ((self._receive, "osc in"), (self._tell, "osc out"))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def text(self) -> str:
        """Where we listen and whom we tell."""
        told = ", ".join(f"{host}:{port}" for host, port in tuple(self._subscribers))
        return f"{self.host}:{self.port}" + (f", state to {told}" if told else "")

    @property
    def subscribers(self) -> tuple[Address, ...]:
        """Whom the state is told."""
        return tuple(self._subscribers)

    def reply_to(self, host: str, port: int) -> None:
        """Tells the state to an address from now on. Raises InputError if there is none such."""
        try:
            address = (socket.gethostbyname(host), port)
        except (OSError, UnicodeError):
            raise InputError(f"OSC: there is no machine {host!r}") from None
        if not 0 < port < 65536:
            raise InputError(f"OSC: {port} is no UDP port")
        if len(self._subscribers) >= MOST_SUBSCRIBERS and address not in self._subscribers:
            raise InputError(f"OSC: more than {MOST_SUBSCRIBERS} programs want the state")
        self._subscribers[address] = {}

    def mirror(self, message: Message) -> None:
        """Tells who wants the state of a control message, whoever sent it, at its own address."""
        if self._subscribers:
            name, arguments = arguments_of(message)
            for address in tuple(self._subscribers):
                self._post(address, name, arguments)

    def close(self) -> None:
        """Ends both directions."""
        self._closing.set()
        for thread in self._threads:
            thread.join()
        self._socket.close()

    # --- in -------------------------------------------------------------------------------------

    def _receive(self) -> None:
        going_on = GoingOn("OSC", self._say)
        while not self._closing.is_set():
            with going_on:
                asked = [each for packet in self._packets() for each in self._understood(*packet)]
                for message, sender in newest(asked):
                    with going_on:
                        self._pass_on(message, sender)
                if asked:
                    time.sleep(_PACE_SECONDS)

    def _pass_on(self, message: Message, sender: Address) -> None:
        try:
            self._send(message)
        except InputError as problem:
            self._problem(str(problem), sender)

    def _packets(self) -> list[tuple[bytes, Address]]:
        """Waits for a packet; that and what else has come by then."""
        packets: list[tuple[bytes, Address]] = []
        with contextlib.suppress(OSError):  # nothing, or a subscriber has gone (Windows says so)
            packets.append(self._socket.recvfrom(_LARGEST_PACKET))
            self._socket.setblocking(False)
            while len(packets) < _MOST_PACKETS:
                packets.append(self._socket.recvfrom(_LARGEST_PACKET))
        self._socket.settimeout(_WAIT_SECONDS)
        return packets

    def _understood(self, data: bytes, sender: Address) -> list[tuple[Message, Address]]:
        """The control messages of a packet; what makes no sense does not take the rest along."""
        asked: list[tuple[Message, Address]] = []
        try:
            contents = _messages(data)
        except InputError as problem:
            self._problem(str(problem), sender)
            return []
        for address, arguments in contents:
            try:
                message = self._take(address, arguments, sender)
            except InputError as problem:
                self._problem(str(problem), sender)
            else:
                asked += [(message, sender)] if message is not None else []
        return asked

    def _take(self, address: str, arguments: list[Any], sender: Address) -> Message | None:
        """The control message, unless it is for us."""
        if address == ROOT + "subscribe":
            port = arguments[0] if arguments else sender[1]
            self.reply_to(sender[0], int(port) if isinstance(port, (int, float)) else 0)
        elif address == ROOT + "unsubscribe":
            port = arguments[0] if arguments else sender[1]
            self._subscribers.pop((sender[0], port), None)
        elif address == ROOT + "refresh":
            for known in tuple(self._subscribers.values()):
                known.clear()
        else:
            message = message_of(address, arguments)
            if sender[0] != LOOPBACK and names_file(message):
                raise InputError(f"OSC: {address} names a file, which only this machine may do")
            return message
        return None

    def _problem(self, text: str, sender: Address) -> None:
        """One line for the musician, not twice the same, and for who sent it."""
        text = " ".join(text.split())[:300]
        if text != self._said:
            self._said = text
            self._say(text)
        for address in {a for a in tuple(self._subscribers) if a[0] == sender[0]}:
            self._post(address, ROOT + "problem", [text])

    # --- out ------------------------------------------------------------------------------------

    def _tell(self) -> None:
        going_on = GoingOn("OSC", self._say)
        while not self._closing.wait(STATE_SECONDS):
            with going_on:
                self._tell_changes()

    def _tell_changes(self) -> None:
        if not self._subscribers:
            return
        state = state_of(self._look())
        for address, known in tuple(self._subscribers.items()):
            for name, values in state.items():
                if known.get(name) != values:
                    known[name] = values
                    self._post(address, name, values)

    def _post(self, address: Address, name: str, values: list[Any]) -> None:
        from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

        builder = OscMessageBuilder(name)
        for value in values:
            whole = isinstance(value, int) and not isinstance(value, bool)
            wide = whole and not -(2**31) <= value < 2**31
            builder.add_arg(value, "h" if wide else None)
        with contextlib.suppress(OSError, BuildError):
            datagram = builder.build().dgram
            if len(datagram) <= _LARGEST_STATE:
                self._socket.sendto(datagram, address)


def newest(asked: list[tuple[Message, Address]]) -> list[tuple[Message, Address]]:
    """Messages in order, but of a run that only sets values the last of each control.

    >>> from lmdm.live.messages import NoteOn, SetGuidance, SetTempo, kind_of
    >>> said = [SetGuidance(2.0), SetTempo(90.0), SetGuidance(3.0), NoteOn(60), SetGuidance(4.0)]
    >>> [kind_of(type(message)) for message, _ in newest([(each, ("", 0)) for each in said])]
    ['set_tempo', 'set_guidance', 'note_on', 'set_guidance']
    """
    kept: list[tuple[Message, Address]] = []
    for sets, run in itertools.groupby(asked, lambda each: each[0].control is not None):
        last: dict[object, tuple[Message, Address]] = {}
        for index, each in enumerate(run):
            control = each[0].control if sets else index
            last.pop(control, None)
            last[control] = each
        kept += last.values()
    return kept


def _messages(data: bytes) -> list[tuple[str, list[Any]]]:
    """Addresses and arguments of a packet; bundles are opened, and their times not waited for.

    Raises:
        InputError: the packet is none.
    """
    from pythonosc.osc_packet import OscPacket

    try:
        return [
            (each.message.address, list(each.message.params)) for each in OscPacket(data).messages
        ]
    except Exception as problem:  # the library raises whatever its parsing stumbles over
        raise InputError(f"OSC: a packet of {len(data)} bytes makes no sense: {problem}") from None
