#!/usr/bin/env python3
"""A slow network link: a network namespace whose only way out has a rate and a round trip.

For kernels without netem.  Two TUN devices, one here and one in the namespace; a process carries the packets between
them, each way with a queue, a rate and a delay.  Packets pass as TCP's segmentation offload makes them, up to 64 KiB at
once, so that this costs little; every 1448 bytes of one pay for the headers they would have on Ethernet.

    with SlowLink(100e6, 0.030) as link:
        subprocess.run([*link.enter, 'curl', 'http://%s:5000/' % link.near])
"""
import ctypes, fcntl, heapq, os, select, signal, socket, struct, subprocess, sys, time

TUNSETIFF, TUNSETOFFLOAD, TUNSETVNETHDRSZ = 0x400454ca, 0x400454d0, 0x400454d8
IFF_TUN, IFF_NO_PI, IFF_VNET_HDR = 0x1, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4 = 0x1, 0x2
VNET_HEADER = struct.calcsize('=BBHHHH')
PR_SET_PDEATHSIG, PR_SET_TIMERSLACK, CLONE_NEWNET = 1, 29, 0x40000000
SEGMENT, OVERHEAD = 1448, 78    # of a TCP segment on Ethernet: payload, and headers, checksum and gap
QUEUE_S = 0.2                   # what does not fit is dropped, as routers do
LIBC = ctypes.CDLL(None, use_errno=True)


def sh(*argv):
    subprocess.run(argv, check=True)


def make_tun(name, mine, other):
    """A device of that name in this thread's network namespace; its descriptor."""
    fd = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack('16sH22x', name.encode(), IFF_TUN | IFF_NO_PI | IFF_VNET_HDR))
    fcntl.ioctl(fd, TUNSETVNETHDRSZ, struct.pack('i', VNET_HEADER))
    fcntl.ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4)
    sh('ip', 'addr', 'add', mine, 'peer', other, 'dev', name)
    sh('ip', 'link', 'set', name, 'txqueuelen', '2000', 'up')
    return fd


class Way:
    """One direction: packets wait for the line, then for the delay."""

    def __init__(self, source, sink, rate, delay):
        self.source, self.sink, self.rate, self.delay = source, sink, rate, delay
        self.line_free = 0.0
        self.waiting = []       # (when it is due, number, packet)
        self.count = 0

    def take(self):
        while True:
            try:
                packet = os.read(self.source, 70000)
            except BlockingIOError:
                return
            now = time.monotonic()
            self.line_free = max(self.line_free, now)
            if self.line_free - now > QUEUE_S:
                continue
            size = len(packet) - VNET_HEADER
            self.line_free += (size + OVERHEAD * (size // SEGMENT)) * 8 / self.rate
            self.count += 1
            heapq.heappush(self.waiting, (self.line_free + self.delay, self.count, packet))

    def give(self):
        """Send what is due; when the next one will be, or None."""
        while self.waiting and self.waiting[0][0] <= time.monotonic():
            try:
                os.write(self.sink, heapq.heappop(self.waiting)[2])
            except OSError:
                pass            # the other side has gone or its queue is full: a lost packet
        return self.waiting[0][0] if self.waiting else None


def carry(here, there, rate, delay):
    ways = [Way(here, there, rate, delay), Way(there, here, rate, delay)]
    while True:
        due = [at for at in (way.give() for way in ways) if at is not None]
        wait = max(0.0, min(due) - time.monotonic()) if due else None
        ready, _, _ = select.select([here, there], [], [], wait)
        for way in ways:
            if way.source in ready:
                way.take()


def serve(namespace, name, near, far, rate, rtt):
    """The process that carries."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    LIBC.prctl(PR_SET_TIMERSLACK, 1000)
    # a link does not wait for whoever else wants the processor
    os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    here = make_tun(name, near, far)
    with open(namespace) as f:
        if LIBC.setns(f.fileno(), CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), 'setns')
    there = make_tun(name, far, near)
    sh('ip', 'link', 'set', 'lo', 'up')
    print('ready', flush=True)
    carry(here, there, float(rate), float(rtt) / 2)


class SlowLink:
    """near: this machine's address as the namespace sees it; enter: what to put before a command."""

    def __init__(self, bits_per_s, rtt_s):
        self.bits_per_s, self.rtt_s = bits_per_s, rtt_s
        # a network that is reserved for benchmarks; two of these can run at once
        net = '198.18.%d.' % (os.getpid() % 250)
        self.near, self.far, self.name = net + '1', net + '2', 'slow%d' % (os.getpid() % 250)
        self.holder = self.carrier = None

    def __enter__(self):
        self.holder = subprocess.Popen(['unshare', '--net', 'setpriv', '--pdeathsig', 'KILL', 'sh', '-c',
                                        'echo ready; exec sleep infinity'], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        namespace = '/proc/%d/ns/net' % self.holder.pid
        self.enter = ['nsenter', '--net=' + namespace]
        self.carrier = subprocess.Popen([sys.executable, os.path.abspath(__file__), namespace, self.name, self.near,
                                         self.far, str(self.bits_per_s), str(self.rtt_s)], stdout=subprocess.PIPE)
        if self.carrier.stdout.readline().strip() != b'ready':
            self.__exit__()
            raise SystemExit('bench: no link: is there a /dev/net/tun?')
        return self

    def __exit__(self, *_):
        for child in (self.carrier, self.holder):
            if child:
                child.kill()
                child.wait()
                child.stdout.close()

    def bytes_in(self):
        """Bytes that went into the namespace so far, headers and all."""
        with open('/sys/class/net/%s/statistics/tx_bytes' % self.name) as f:
            return int(f.read())

    def connect_s(self, port):
        """What a connection takes, from inside."""
        code = ('import socket, time; t = time.monotonic(); socket.create_connection((%r, %d)).close(); '
                'print(time.monotonic() - t)' % (self.near, port))
        return float(subprocess.check_output([*self.enter, sys.executable, '-c', code]))


if __name__ == '__main__':
    serve(*sys.argv[1:])
