#!/usr/bin/env python3
"""The network between the nodes, with a knife.

    net.py --listen 127.0.0.1 --target 127.0.1.1 PORT PORT PORT

Listens on each node's peer port at one loopback address and passes the bytes on to the node, which
listens on the same port at another.  Who dials is read from the handshake.  Orders come on standard
input, each is answered with "ok":

    cut FROM TO    what FROM sends to TO does not arrive (and is kept, as a network that is down for
                   a while would keep it in the senders' buffers)
    heal           everything flows again, what was kept first
    reset          heal, but the connections that were cut are broken instead: what was kept is lost
    break FROM TO  the connections that FROM made to TO end; those that TO made stay
    delay MS       everything arrives so much later

A direction of a connection belongs to the pair (sender, receiver), so a cut can be in one direction
only: then a leader is heard, but hears nothing, or the reverse.
"""
import argparse
import asyncio
import re
import sys

HELLO = re.compile(rb"RR\.HELLO\r\n\$\d+\r\n\d+\r\n\$\d+\r\n[0-9a-f]+\r\n\$\d+\r\n(\d+)\r\n")

cuts = set()
delay_s = 0.0
changed = None
connections = set()


async def flows(pair):
    """Returns when the pair is not cut."""
    while pair in cuts:
        await changed.wait()


async def pump(reader, writer, pair, first=b""):
    """Bytes of one direction, held back while it is cut."""
    data = first
    try:
        while True:
            if data:
                await flows(pair)
                if delay_s:
                    # The delay is per piece: pieces that come meanwhile wait their turn in order.
                    await asyncio.sleep(delay_s)
                    await flows(pair)
                writer.write(data)
                await writer.drain()
            data = await reader.read(65536)
            if not data:
                # The end of a connection is news as well: it does not pass a cut.
                await flows(pair)
                break
    except OSError:
        pass
    finally:
        writer.close()


async def serve(reader, writer, node, address, port):
    first = b""
    try:
        while not HELLO.search(first) and len(first) < 4096:
            data = await reader.read(4096)
            if not data:
                break
            first += data
        match = HELLO.search(first)
        dialer = int(match.group(1)) if match else -1
        await flows((dialer, node))
        there = await asyncio.open_connection(address, port)
    except OSError:
        writer.close()
        return
    entry = (dialer, node, writer, there[1])
    connections.add(entry)
    await asyncio.gather(pump(reader, there[1], (dialer, node), first),
                         pump(there[0], writer, (node, dialer)))
    connections.discard(entry)


def abort(doomed):
    for _, _, here, there in doomed:
        here.transport.abort()
        there.transport.abort()


async def orders():
    global delay_s, changed
    loop = asyncio.get_running_loop()
    stdin = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        words = line.decode().split()
        if words[0] == "cut":
            cuts.add((int(words[1]), int(words[2])))
        elif words[0] == "delay":
            delay_s = float(words[1]) / 1000
        elif words[0] == "break":
            abort([c for c in connections if c[:2] == (int(words[1]), int(words[2]))])
        elif words[0] in ("heal", "reset"):
            if words[0] == "reset":
                abort([c for c in connections if c[:2] in cuts or c[1::-1] in cuts])
            cuts.clear()
            changed.set()
            changed = asyncio.Event()
        print("ok", flush=True)


async def main():
    global changed
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen")
    parser.add_argument("--target")
    parser.add_argument("ports", type=int, nargs="+")
    options = parser.parse_args()
    changed = asyncio.Event()
    for node, port in enumerate(options.ports):
        await asyncio.start_server(
            lambda r, w, n=node, p=port: serve(r, w, n, options.target, p), options.listen, port)
    print("ready", flush=True)
    await orders()


asyncio.run(main())
