"""Where network namespaces cannot be made: tcl-tests/lib/net.py between the nodes, on loopback."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Proxy:
    name = "a proxy between the nodes"
    private = False  # a mount would be everybody's, and outlive us
    lossy = False

    def __init__(self, nodes, founders, port_base):
        self.nodes, self.founders = range(nodes), range(founders)
        self.port_base = port_base
        self.process = subprocess.Popen(
            self.inside(None) + [
                sys.executable, os.path.join(TOP, "tcl-tests/lib/net.py"), "--listen", "127.0.0.1",
                "--target", "127.0.1.1"] + [str(self.peer_port(node)) for node in self.nodes],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("net.py did not start")

    def close(self):
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()

    def peer_port(self, node):
        return self.port_base + 10 + node

    def client_address(self, node):
        return "127.0.0.1", self.port_base + node

    def peer_address(self, node):
        return "127.0.0.1:%d" % self.peer_port(node)

    def restored_port(self):
        return self.port_base + 30

    def listening(self, node):
        return "bind 127.0.0.1\nport %d\npeer-bind 127.0.1.1\n" % (self.port_base + node)

    def founder_settings(self, node):
        return "me %d\n%s" % (node, self.listening(node)) + "".join(
            "node %d %s\n" % (other, self.peer_address(other)) for other in self.founders)

    def joiner_settings(self, node, peers):
        return self.listening(node) + "announce-peer %s\njoin %s\n" % (
            self.peer_address(node), ",".join(peers))

    def inside(self, node):
        # Nothing that is started here outlives the run, not even one that is killed.
        return ["setpriv", "--pdeathsig", "KILL"]

    def order(self, text):
        print(text, file=self.process.stdin, flush=True)
        if self.process.stdout.readline() != "ok\n":
            raise RuntimeError("net.py has ended")

    def cut(self, pairs):
        for a, b in pairs:
            self.order("cut %d %d" % (a, b))

    def heal(self):
        self.order("heal")
