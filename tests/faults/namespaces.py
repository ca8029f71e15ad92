"""A network of the test's own: a bridge, and for each node a network namespace on it.

What FROM sends to TO is dropped where it arrives, in TO's namespace, so that a cut can be in one
direction only.  Clients are on the bridge itself and reach every node."""
import subprocess

NET = "10.77.0"

RULES = """
table ip faults {
    set deaf { type ipv4_addr; }
    chain input { type filter hook input priority 0; ip saddr @deaf drop; }
}
"""
LOSSY = """
table ip loss {
    chain input { type filter hook input priority 1; ip saddr != %s.254 numgen random mod 100 < %d drop; }
}
"""


def sh(*words, text=None):
    result = subprocess.run(words, input=text, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(words), result.stdout.strip()))


class Namespaces:
    name = "network namespaces"
    private = True  # mounts as well

    def __init__(self, nodes, founders=0):
        self.nodes, self.founders = range(nodes), range(founders)
        self.lossy = True
        sh("ip", "link", "set", "lo", "up")
        sh("ip", "link", "add", "faults", "type", "bridge")
        sh("ip", "addr", "add", NET + ".254/24", "dev", "faults")
        sh("ip", "link", "set", "faults", "up")
        for node in self.nodes:
            space = "node%d" % node
            sh("ip", "netns", "add", space)
            sh("ip", "link", "add", space, "type", "veth", "peer", "name", "eth0", "netns", space)
            sh("ip", "link", "set", space, "master", "faults", "up")
            sh("ip", "-n", space, "link", "set", "lo", "up")
            sh("ip", "-n", space, "addr", "add", self.host(node) + "/24", "dev", "eth0")
            sh("ip", "-n", space, "link", "set", "eth0", "up")
            self.nft(node, RULES)
        try:
            self.lose(1)
            self.heal()
        except RuntimeError:  # this kernel's nftables has no numgen
            self.lossy = False

    def close(self):
        for node in self.nodes:
            sh("ip", "netns", "del", "node%d" % node)
        sh("ip", "link", "del", "faults")

    def host(self, node):
        return "%s.%d" % (NET, node + 1)

    def client_address(self, node):
        return self.host(node), 6379

    def peer_address(self, node):
        return self.host(node) + ":16379"

    def restored_port(self):
        """Of a server that is in no network but ours."""
        return 6378

    def founder_settings(self, node):
        return "me %d\nbind *\nport 6379\n" % node + "".join(
            "node %d %s\n" % (other, self.peer_address(other)) for other in self.founders)

    def joiner_settings(self, node, peers):
        return "bind *\nport 6379\nannounce-peer %s\njoin %s\n" % (
            self.peer_address(node), ",".join(peers))

    def inside(self, node):
        return ["nsenter", "--net=/run/netns/node%d" % node]

    def nft(self, node, text):
        sh(*self.inside(node), "nft", "-f", "-", text=text)

    # -- faults ----------------------------------------------------------------------------------

    def cut(self, pairs):
        """What the first of each pair sends to the second does not arrive."""
        for to in self.nodes:
            hosts = [self.host(a) for a, b in pairs if b == to]
            if hosts:
                self.nft(to, "add element ip faults deaf { %s }" % ", ".join(hosts))

    def lose(self, percent):
        for node in self.nodes:
            self.nft(node, LOSSY % (NET, percent))

    def heal(self):
        for node in self.nodes:
            self.nft(node, "flush set ip faults deaf\ntable ip loss\ndelete table ip loss")
