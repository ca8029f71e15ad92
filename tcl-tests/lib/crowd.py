#!/usr/bin/env python3
"""Strangers who take places, for crowds.tcl.

    crowd.py PORT[,PORT...] COUNT [HELLO-WORD...]

holds COUNT connections to each port and says nothing on them, or one RESP command of the words given
("TARGET" in it: the place of the port in the list, "OTHER": the next place).  What the other side closes is opened again at
once.  Prints "ready" when each was opened once, and "renewed N" after a line or the end of its input.
"""
import select
import socket
import sys


def multibulk(words):
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)


class Crowd:
    def __init__(self, ports, count, words):
        self.poller = select.epoll()
        self.members = {}  # fd -> socket, place of its port, whether it has spoken
        self.ports = ports
        self.words = words
        self.renewed = 0
        for _ in range(count):
            for place in range(len(ports)):
                self.dial(place)

    def dial(self, place):
        sock = socket.socket()
        sock.setblocking(False)
        try:
            sock.connect(("127.0.0.1", self.ports[place]))
        except BlockingIOError:
            pass
        self.members[sock.fileno()] = (sock, place)
        self.poller.register(sock, select.EPOLLIN | (select.EPOLLOUT if self.words else 0))

    def speak(self, sock, place):
        self.poller.modify(sock, select.EPOLLIN)
        places = {"TARGET": str(place), "OTHER": str((place + 1) % len(self.ports))}
        sock.send(multibulk([places.get(word, word).encode() for word in self.words]))

    def on_event(self, fd, what):
        sock, place = self.members[fd]
        try:
            if what == select.EPOLLOUT:
                self.speak(sock, place)
                return
            if sock.recv(4096):
                return
        except OSError:
            pass
        self.poller.unregister(sock)
        del self.members[fd]
        sock.close()
        self.renewed += 1
        self.dial(place)

    def stay(self):
        self.poller.register(sys.stdin, select.EPOLLIN)
        print("ready", flush=True)
        while True:
            for fd, what in self.poller.poll():
                if fd == sys.stdin.fileno():
                    return
                self.on_event(fd, what)


if __name__ == "__main__":
    crowd = Crowd([int(port) for port in sys.argv[1].split(",")], int(sys.argv[2]), sys.argv[3:])
    crowd.stay()
    print("renewed", crowd.renewed)
