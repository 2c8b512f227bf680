"""OSC, opened and closed while playing."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from audio_io.osc import LOOPBACK, OscServer
from lmdm.live.messages import Message, Snapshot

Address = tuple[str, int]
__all__ = ["LOOPBACK", "OscDoor"]


class OscDoor:
    """At most one OSC server.

    Threads: may be used from any thread; see `OscServer` for its own.
    """

    def __init__(
        self,
        send: Callable[[Message], None],
        look: Callable[[], Snapshot],
        say: Callable[[str], None],
    ) -> None:
        """`say` gets one line about packets that make no sense."""
        self._send, self._look, self._say = send, look, say
        self._server: OscServer | None = None

    def open(self, listen: Address | None, replies: Iterable[Address] = ()) -> None:
        """Listens at an address (or no longer), and sends the state to others.

        Raises:
            InputError: one of them is no address, or taken. OSC is closed then.
        """
        self.close()
        told = tuple(replies)
        if listen is None and not told:
            return
        host, port = listen or (LOOPBACK, 0)
        self._server = OscServer(self._send, self._look, port, host, self._say)
        for address in told:
            self._server.reply_to(*address)

    def addresses(self) -> tuple[Address | None, tuple[Address, ...]]:
        """Where we listen and whom we tell, as `open` takes them."""
        server = self._server
        return (None, ()) if server is None else ((server.host, server.port), server.subscribers)

    def mirror(self, message: Message) -> None:
        """Tells other programs of a control message."""
        server = self._server
        if server is not None:
            server.mirror(message)

    @property
    def text(self) -> str:
        """Where we listen and whom we tell; empty when closed."""
        server = self._server
        return server.text if server is not None else ""

    def close(self) -> None:
        """Ends it."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
