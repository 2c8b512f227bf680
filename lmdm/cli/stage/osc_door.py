"""OSC, opened and closed while playing."""

from __future__ import annotations

from collections.abc import Callable

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

    def open(self, listen: Address | None, reply: Address | None) -> None:
        """Listens at an address (or no longer), and sends the state to another.

        Raises:
            InputError: one of them is no address, or taken. OSC is closed then.
        """
        self.close()
        if listen is None and reply is None:
            return
        host, port = listen or (LOOPBACK, 0)
        self._server = OscServer(self._send, self._look, port, host, self._say)
        if reply is not None:
            self._server.reply_to(*reply)

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
