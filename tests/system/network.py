"""Networks of the tests' own: two hosts, a client and a server, that can reach each other and nothing else.

A host is a network namespace that is held by an open descriptor alone. It has no name and no process
of its own, so it vanishes with the process that runs the tests, however that ends, and so does
whatever was in it. The two are joined in one of two ways:

    cable   a pair of veth devices, which can be unplugged and shaped by the kernel (tc)
    wire    a TUN device on either side and a thread that carries packets between them, later, twice,
            in another order or not at all, from a seed; it needs nothing that a kernel may lack

A name server and a host that misbehaves are threads of the tests with sockets in the server's
namespace. Addresses are those kept for documentation (RFC 5737), which no real network has.
"""

import contextlib
import ctypes
import fcntl
import heapq
import os
import pathlib
import random
import select
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest

from conftest import LIMIT, Done, Hostile, Weir, accounted, parse_rows, port_in

CLIENT, SERVER = "192.0.2.1", "192.0.2.2"
ROUTED = "198.51.100.1"  # an address beyond the server, which would have to route it
DEAD = "192.0.2.3"  # an address of nobody
CLONE_NEWNET = 0x40000000
LONG = os.environ.get("WEIR_LONG") == "1"

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, f"{what}: {os.strerror(error)}")


class Host:
    """A network namespace. Only threads of their own enter it: a thread belongs to one for good."""

    def __init__(self):
        self.fd = None
        self.fd = self.inside(lambda: os.open("/proc/thread-self/ns/net", os.O_RDONLY))
        self.path = f"/proc/{os.getpid()}/fd/{self.fd}"
        self.ip("link set lo up")

    def inside(self, function):
        """Calls a function within; sockets that it opens stay there."""
        outcome = []

        def run():
            try:
                if self.fd is None:
                    check(libc.unshare(CLONE_NEWNET), "unshare")
                else:
                    check(libc.setns(self.fd, CLONE_NEWNET), "setns")
                outcome.extend((function(), None))
            except Exception as error:  # pylint: disable=broad-except
                outcome.extend((None, error))

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        if outcome[1]:
            raise outcome[1]
        return outcome[0]

    @property
    def enter(self):
        """What a command begins with to run within; it keeps its number as a process."""
        return ["nsenter", f"--net={self.path}"]

    def run(self, *command, input=""):
        return subprocess.run([*self.enter, *command], input=input, text=True, timeout=LIMIT,
                              check=True, capture_output=True)

    def ip(self, *lines):
        self.run("ip", "-batch", "-", input="".join(line + "\n" for line in lines))

    def setting(self, name, value):
        """Of this namespace, below /proc/sys/net."""
        path = pathlib.Path("/proc/sys/net", name)
        self.inside(lambda: path.write_text(str(value)))

    def timers(self):
        """What the kernel will do next for each TCP connection made from here."""
        table = self.inside(pathlib.Path("/proc/thread-self/net/tcp").read_text)
        kinds = {"00": None, "01": "send again", "02": "keepalive"}
        rows = [line.split() for line in table.splitlines()[1:]]
        return [kinds.get(row[5].partition(":")[0]) for row in rows if row[3] == "01"]

    def tun(self, address, peer):
        """A TUN device: what is sent to the peer is read from the descriptor returned."""
        def opened():
            fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            iff_tun, iff_no_pi, tunsetiff = 1, 0x1000, 0x400454CA
            fcntl.ioctl(fd, tunsetiff, struct.pack("16sH22x", b"net0", iff_tun | iff_no_pi))
            return fd
        fd = self.inside(opened)
        self.ip(f"addr add {address} peer {peer} dev net0", "link set dev net0 mtu 1400 up")
        return fd

    def listener(self, port=0, address=SERVER, backlog=512):
        return self.inside(lambda: socket.create_server((address, port), backlog=backlog))

    def close(self):
        if self.fd is not None:
            os.close(self.fd)


class Wire(threading.Thread):
    """Carries packets between two TUN devices. What may happen to them is set at any time:

    delay, jitter   seconds until a packet arrives, and how much more it may be at random
    loss, twice     share of packets that are dropped, or arrive twice
    overtaken       share of packets that are held back for `held` seconds
    garbled         share of packets with a bit turned over
    rate, room      bytes a second in each direction, and how many may wait their turn (tail drop)
    drops           called with each packet; true: it is dropped

    `counts` says what did happen."""

    def __init__(self, left, right, seed):
        super().__init__(daemon=True)
        self.ends = (left, right)
        self.random = random.Random(seed)
        self.delay = self.jitter = self.loss = self.twice = self.overtaken = self.garbled = 0.0
        self.held = 0.03
        self.rate, self.room = 0, 64 << 10
        self.drops = lambda packet: False
        self.counts = dict.fromkeys(
            ["carried", "lost", "twice", "overtaken", "garbled", "full", "dropped"], 0)
        self.free_at = {left: 0.0, right: 0.0}
        self.under_way = []
        self.flows = set()
        self.stopped, self.stopper = os.pipe()
        self.start()

    def run(self):
        left, right = self.ends
        poll = select.poll()
        for fd in (left, right, self.stopped):
            poll.register(fd, select.POLLIN)
        while True:
            due = self.under_way[0][0] - time.monotonic() if self.under_way else None
            ready = poll.poll(None if due is None else max(0, due * 1000))
            if any(fd == self.stopped for fd, _ in ready):
                return
            for fd, _ in ready:
                self.take(fd, right if fd == left else left)
            self.deliver()

    def take(self, source, target):
        for _ in range(64):  # then the other direction
            try:
                packet = os.read(source, 65536)
            except OSError:  # none left, or the device is down
                return
            self.send(packet, target)

    def happens(self, share, what):
        if not share or self.random.random() >= share:
            return False
        self.counts[what] += 1
        return True

    def send(self, packet, target):
        self.flows.add(flow_of(packet))
        if self.drops(packet):
            self.counts["dropped"] += 1
            return
        if self.happens(self.loss, "lost"):
            return
        now = time.monotonic()
        leaves = now
        if self.rate:
            leaves = max(now, self.free_at[target])
            if (leaves - now) * self.rate > self.room:
                self.counts["full"] += 1
                return
            leaves += len(packet) / self.rate
            self.free_at[target] = leaves
        arrives = leaves + self.delay + self.random.random() * self.jitter
        if self.happens(self.overtaken, "overtaken"):
            arrives += self.held
        if self.happens(self.garbled, "garbled"):
            garbled = bytearray(packet)
            garbled[self.random.randrange(len(packet))] ^= 1 << self.random.randrange(8)
            packet = bytes(garbled)
        for _ in range(2 if self.happens(self.twice, "twice") else 1):
            heapq.heappush(self.under_way, (arrives, self.counts["carried"], target, packet))
            self.counts["carried"] += 1

    def deliver(self):
        now = time.monotonic()
        while self.under_way and self.under_way[0][0] <= now:
            _, _, target, packet = heapq.heappop(self.under_way)
            try:
                os.write(target, packet)
            except OSError:  # the device is down, or the packet was garbled beyond recognition
                self.counts["dropped"] += 1

    def reached(self, address):
        """Was anything sent to that address?"""
        packed = socket.inet_aton(address)
        return any(end[0] == packed for flow in self.flows if flow for end in flow[1:])

    def cut(self):
        """Nothing passes."""
        self.drops = lambda packet: True

    def forget_flows(self):
        """What a router does that has lost its table: connections that there were are dropped without
        a word, new ones pass."""
        known = frozenset(self.flows)
        self.drops = lambda packet: flow_of(packet) in known

    def mend(self):
        self.drops = lambda packet: False

    def stop(self):
        os.write(self.stopper, b"x")
        self.join()
        for fd in (*self.ends, self.stopped, self.stopper):
            os.close(fd)


def flow_of(packet):
    """Both ends of a packet's TCP connection, in an order that both directions share."""
    if len(packet) < 24 or packet[0] >> 4 != 4:
        return None
    head = (packet[0] & 15) * 4
    ends = [(packet[12:16], packet[head:head + 2]), (packet[16:20], packet[head + 2:head + 4])]
    return (packet[9], *sorted(ends))


class Names(threading.Thread):
    """A name server at the server's address, by UDP and TCP. `answer` is called with a name and a
    type ("A", "AAAA", or a number) and returns a list of addresses (of which those of that type are
    sent), or one of SERVFAIL, NXDOMAIN, REFUSED (codes), SILENCE, GARBAGE, or (TRUNCATED, addresses):
    over UDP nothing but that it is too long. `asked` counts questions by name; `seen` is set by
    each."""

    SERVFAIL, NXDOMAIN, REFUSED, SILENCE, GARBAGE, TRUNCATED = 2, 3, 5, "silence", "garbage", "tc"

    def __init__(self, host, answer):
        super().__init__(daemon=True)
        self.answer = answer
        self.asked = {}
        self.over_tcp = 0
        self.udp = host.inside(lambda: bound_udp((SERVER, 53)))
        self.tcp = host.listener(53)
        self.stopped, self.stopper = os.pipe()
        self.start()

    def run(self):
        while True:
            ready, _, _ = select.select([self.udp, self.tcp, self.stopped], [], [])
            if self.stopped in ready:
                return
            with contextlib.suppress(OSError):
                if self.udp in ready:
                    question, peer = self.udp.recvfrom(4096)
                    answer = self.reply(question, False)
                    if answer:
                        self.udp.sendto(answer, peer)
                if self.tcp in ready:
                    self.serve_tcp(self.tcp.accept()[0])

    def serve_tcp(self, conn):
        with conn:
            conn.settimeout(LIMIT)
            while size := conn.recv(2, socket.MSG_WAITALL):
                question = conn.recv(int.from_bytes(size, "big"), socket.MSG_WAITALL)
                answer = self.reply(question, True)
                self.over_tcp += 1
                conn.sendall(len(answer).to_bytes(2, "big") + answer)

    def reply(self, question, tcp):
        labels, at = [], 12
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        number = int.from_bytes(question[at + 1:at + 3], "big")
        kind = {1: "A", 28: "AAAA"}.get(number, number)
        name = ".".join(labels)
        self.asked[name] = self.asked.get(name, 0) + 1
        answer = self.answer(name, kind)
        if answer == self.SILENCE:
            return None
        if answer == self.GARBAGE:
            return question[:2] + os.urandom(40)
        truncated = isinstance(answer, tuple) and not tcp
        code = answer if isinstance(answer, int) else 0
        addresses = answer[1] if isinstance(answer, tuple) else answer if code == 0 else []
        records = [] if truncated else [
            address for address in addresses if (":" in address) == (kind == "AAAA")
            and kind in ("A", "AAAA")]
        flags = 0x8180 | code | (0x0200 if truncated else 0)
        head = struct.pack(">2sHHHHH", question[:2], flags, 1, len(records), 0, 0)
        data = b""
        for address in records:
            packed = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
            data += struct.pack(">HHHIH", 0xC00C, number, 1, 60, len(packed)) + packed
        return head + question[12:at + 5] + data

    def stop(self):
        os.write(self.stopper, b"x")
        self.join()
        self.udp.close()
        self.tcp.close()
        os.close(self.stopped)
        os.close(self.stopper)


def bound_udp(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(address)
    return sock


class Run:
    """A run of the command in the client's namespace, whose rows are seen as they come."""

    def __init__(self, process, stdin):
        self.process = process
        self.stdin = process.stdin if stdin else None
        self.lines = []
        self.log = b""
        self.grown = threading.Condition()
        self.readers = [threading.Thread(target=self.read_rows, daemon=True),
                        threading.Thread(target=self.read_log, daemon=True)]
        for reader in self.readers:
            reader.start()

    def read_rows(self):
        for line in self.process.stdout:
            with self.grown:
                self.lines.append(line)
                self.grown.notify_all()
        with self.grown:
            self.grown.notify_all()

    def read_log(self):
        self.log = self.process.stderr.read()

    def seen(self, rows):
        """Until so many rows have been written."""
        with self.grown:
            enough = self.grown.wait_for(
                lambda: len(self.lines) >= rows or not self.readers[0].is_alive(), LIMIT)
        assert enough and len(self.lines) >= rows, f"{len(self.lines)} rows, not {rows}"

    def give(self, *lines):
        self.stdin.write("".join(f"{line}\n" for line in lines).encode())
        self.stdin.flush()

    def cpu(self):
        """Seconds of processor time so far."""
        fields = pathlib.Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def end(self, limit=2 * LIMIT):
        """Its end; a run that hangs fails here."""
        if self.stdin:
            self.stdin.close()
        try:
            self.process.wait(timeout=limit)
        except subprocess.TimeoutExpired:
            pytest.fail(f"the run hangs after {len(self.lines)} rows")
        for reader in self.readers:
            reader.join()
        return Done(self.process.args, self.process.returncode, b"".join(self.lines), self.log)


class Inside(Weir):
    """The command in a namespace; with `resolver`, with that file in place of /etc/resolv.conf."""

    def __init__(self, weir, host, resolver=None):
        super().__init__(weir.path, weir.env)
        self.prefix = host.enter
        if resolver:
            self.prefix = ["unshare", "--mount", "--propagation", "private", "sh", "-c",
                           'mount --bind "$0" /etc/resolv.conf && exec "$@"', str(resolver),
                           *host.enter]

    def command(self, args):
        return [*self.prefix, *super().command(args)]


class Lab:
    """A client and a server, and all that runs there; everything ends with it."""

    def __init__(self, weir, folder, name):
        self.plain = weir
        self.folder = folder
        self.name = name
        self.ends = contextlib.ExitStack()
        self.wire = None
        self.client = self.host()
        self.server = self.host()
        self.weir = Inside(weir, self.client)

    def host(self):
        try:
            host = Host()
        except (OSError, subprocess.CalledProcessError) as error:
            why = getattr(error, "stderr", None) or error
            pytest.skip(f"no network namespace can be made here: {why}")
        self.ends.callback(host.close)
        return host

    def join_by_cable(self):
        try:
            self.server.ip(f"link add net0 type veth peer name net0 netns {self.client.path}")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"this kernel has no veth devices: {error.stderr.strip()}")
        self.server.ip(f"addr add {SERVER}/24 dev net0", "link set net0 up")
        self.client.ip(f"addr add {CLIENT}/24 dev net0", "link set net0 up",
                       f"route add default via {SERVER}")

    def join_by_wire(self):
        try:
            ends = (self.client.tun(CLIENT, SERVER), self.server.tun(SERVER, CLIENT))
        except OSError as error:
            pytest.skip(f"no TUN device can be made here: {error}")
        self.client.ip("route add default dev net0")
        self.wire = Wire(*ends, seed=self.name)
        self.ends.callback(self.wire.stop)
        return self.wire

    def shape(self, shape):
        """Has the kernel's netem do it, towards both sides."""
        for host in (self.client, self.server):
            try:
                host.run("tc", "qdisc", "add", "dev", "net0", "root", *shape.split())
            except FileNotFoundError:
                pytest.skip("there is no tc here (Debian has it in iproute2)")
            except subprocess.CalledProcessError as error:
                pytest.skip(f"tc {shape}: this kernel lacks that: {error.stderr.strip()}")

    def mock(self, *options, port=0):
        """`weir mock` on the server; returns its process and its base URL."""
        weir = Inside(self.plain, self.server)
        process = weir.start("mock", "--bind", SERVER, "--port", port, *options,
                             stdout=subprocess.DEVNULL)
        self.ends.callback(stop, process)
        line = process.stderr.readline().decode()
        found = port_in(line)
        if found is None:
            pytest.fail(f"weir mock does not say where it listens: {line!r}")
        return process, f"http://{SERVER}:{found}"

    def hostile(self, answer, address=SERVER):
        """A server that does to each connection what a function does (conftest.Hostile)."""
        server = Hostile(answer, listener=self.server.listener(address=address))
        self.ends.callback(server.stop)
        return server

    def names(self, answer, options="timeout:1 attempts:1"):
        """A name server, which the command asks from now on."""
        resolver = self.folder / "resolv.conf"
        resolver.write_text(f"nameserver {SERVER}\noptions {options}\n")
        self.weir = Inside(self.plain, self.client, resolver)
        names = Names(self.server, answer)
        self.ends.callback(names.stop)
        return names

    def fetch(self, *args, stdin=False):
        process = self.weir.start("fetch", *args,
                                  stdin=subprocess.PIPE if stdin else subprocess.DEVNULL)
        self.ends.callback(stop, process)
        return Run(process, stdin)

    def close(self):
        self.ends.close()


def stop(process):
    if process.poll() is None:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            with contextlib.suppress(OSError, ValueError):
                stream.close()


def whole(done, urls, failed=0):
    """A row for each request and no other, in order, so many of them failed; what they say fits the
    summary and the status. Returns the rows."""
    assert done.returncode in (0, 1), done.log
    rows = parse_rows(done.stdout)
    assert [row["url"] for row in rows] == list(urls), "not a row for each"
    bad = [row for row in rows if row["error"] is not None]
    for row in rows:
        assert row["error"] is not None or row["status"] == 200, row
    assert all(row["error"].strip() for row in bad)
    assert len(bad) == failed, (bad[:3], done.log)
    assert done.returncode == (1 if bad else 0), done.log
    total, parts = accounted(done)
    expected = {"ok": len(rows) - len(bad), "failed": len(bad)}
    assert (total, parts) == (len(rows), {name: n for name, n in expected.items() if n}), done.log
    return rows
