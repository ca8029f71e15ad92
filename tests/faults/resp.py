"""One client connection that speaks RESP2."""
import asyncio


class ErrorReply(str):
    """What follows the minus sign."""


class Connection:
    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, address, timeout):
        reader, writer = await asyncio.wait_for(
            asyncio.open_connection(*address, limit=1 << 24), timeout)
        return cls(reader, writer)

    def close(self):
        self.writer.transport.abort()

    def send(self, *commands):
        """Each command is a list of words."""
        out = []
        for words in commands:
            out.append(b"*%d\r\n" % len(words))
            for word in words:
                word = word if isinstance(word, bytes) else str(word).encode()
                out.append(b"$%d\r\n%b\r\n" % (len(word), word))
        self.writer.write(b"".join(out))

    async def receive(self, timeout):
        """bytes for a bulk, None for nil, int, str for a simple string, ErrorReply."""
        return await asyncio.wait_for(self._receive(), timeout)

    async def _receive(self):
        line = await self.reader.readuntil(b"\r\n")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest.decode()
        if kind == b"-":
            return ErrorReply(rest.decode("latin1"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            size = int(rest)
            return None if size < 0 else (await self.reader.readexactly(size + 2))[:-2]
        raise ConnectionError("not a reply: %r" % line[:80])

    async def call(self, *words, timeout=2):
        self.send(words)
        return await self.receive(timeout)


# What ends a connection: it breaks, ends within a reply, or stays silent too long.
BROKEN = (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError)


async def ask(address, *words, timeout=2):
    """One command on a connection of its own."""
    connection = await Connection.open(address, timeout)
    try:
        return await connection.call(*words, timeout=timeout)
    finally:
        connection.close()
