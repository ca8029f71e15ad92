"""Where network namespaces cannot be made: tcl-tests/lib/net.py between the nodes, on loopback."""
import os
import subprocess
import sys

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Proxy:
    name = "a proxy between the nodes"
    private = False  # a mount would be everybody's, and outlive us
    lossy = False

    def __init__(self, nodes, port_base):
        self.nodes = range(nodes)
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

    def settings(self, node):
        return "bind 127.0.0.1\nport %d\npeer-bind 127.0.1.1\n" % (self.port_base + node) + "".join(
            "node %d 127.0.0.1:%d\n" % (other, self.peer_port(other)) for other in self.nodes)

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
