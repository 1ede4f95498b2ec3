"""A bad network between agents and a conductor: TCP and UDP on one port, passed on to another.

    with Proxy(conductor.agents_port) as net:
        net.up.loss = 1.0       # datagrams to the conductor are lost
        net.down.delay = 0.2    # those from it come late
        net.streams = False     # nothing passes on streams; what is sent meanwhile waits

A direction's settings may be changed at any time. What is drawn comes from a seed."""

import heapq
import random
import selectors
import socket
import threading
import time


class Direction:
    """Of datagrams. loss, duplicate, reorder: the share of them; delay: seconds, of all."""

    def __init__(self):
        self.loss = self.duplicate = self.reorder = 0.0
        self.delay = 0.0
        self.passed = self.lost = 0


class Pipe:
    """One half of a stream: bytes from @source that wait for @sink."""

    def __init__(self, source, sink):
        self.source, self.sink = source, sink
        self.waiting = bytearray()
        self.ended = self.shut = False


class Proxy:
    REORDER_BY = 0.05  # s that a reordered datagram is held back

    def __init__(self, port, seed=1):
        self.target = ('127.0.0.1', port)
        self.random = random.Random(seed)
        self.up, self.down = Direction(), Direction()
        self.streams = True
        self.selector = selectors.DefaultSelector()
        self.late = []       # heap of (when, n, socket, bytes, address)
        self.count = 0
        self.upstream = {}   # a client's address -> our socket to the conductor
        self.pipes = {}      # socket -> Pipe that reads it
        self.stopped = False
        self.open_port()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def open_port(self):
        """The same port for both, as the conductor has it."""
        while True:
            self.door = socket.create_server(('127.0.0.1', 0), backlog=1024)
            self.port = self.door.getsockname()[1]
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                self.udp.bind(('127.0.0.1', self.port))
                break
            except OSError:
                self.door.close()
                self.udp.close()
        for sock in (self.door, self.udp):
            sock.setblocking(False)
        self.selector.register(self.door, selectors.EVENT_READ, self.accept)
        self.selector.register(self.udp, selectors.EVENT_READ, self.read_clients)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopped = True
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        for sock in list(self.pipes):
            sock.close()
        self.selector.close()

    def run(self):
        while not self.stopped:
            for key, _ in self.selector.select(0.005):
                key.data(key.fileobj)
            now = time.monotonic()
            while self.late and self.late[0][0] <= now:
                _, _, sock, data, address = heapq.heappop(self.late)
                self.send(sock, data, address)
            self.move_streams()

    # Datagrams.

    def send(self, sock, data, address):
        try:
            sock.send(data) if address is None else sock.sendto(data, address)
        except OSError:
            pass  # the conductor is away, or a buffer is full: lost

    def pass_on(self, way, sock, data, address=None):
        if self.random.random() < way.loss:
            way.lost += 1
            return
        way.passed += 1
        copies = 2 if self.random.random() < way.duplicate else 1
        for _ in range(copies):
            delay = way.delay + (self.REORDER_BY if self.random.random() < way.reorder else 0)
            if delay == 0:
                self.send(sock, data, address)
                continue
            self.count += 1
            heapq.heappush(self.late, (time.monotonic() + delay, self.count, sock, data, address))

    def read_clients(self, udp):
        try:
            while True:
                data, client = udp.recvfrom(2048)
                if client not in self.upstream:
                    self.open_upstream(client)
                self.pass_on(self.up, self.upstream[client], data)
        except OSError:
            pass

    def open_upstream(self, client):
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.connect(self.target)
        sock.setblocking(False)
        self.upstream[client] = sock
        self.selector.register(sock, selectors.EVENT_READ, lambda s: self.read_conductor(s, client))

    def read_conductor(self, sock, client):
        try:
            while True:
                self.pass_on(self.down, self.udp, sock.recv(2048), client)
        except OSError:
            pass

    # Streams.

    def accept(self, door):
        try:
            client, _ = door.accept()
        except OSError:
            return
        server = socket.socket()
        try:
            server.connect(self.target)
        except OSError:
            client.close()
            server.close()
            return
        for a, b in ((client, server), (server, client)):
            a.setblocking(False)
            self.pipes[a] = Pipe(a, b)

    def move_streams(self):
        if not self.streams:
            return
        for pipe in list(self.pipes.values()):
            try:
                self.move(pipe)
            except (ConnectionError, OSError):
                self.drop(pipe)

    def move(self, pipe):
        if not pipe.ended:
            try:
                data = pipe.source.recv(65536)
                pipe.ended = not data
                pipe.waiting += data
            except BlockingIOError:
                pass
        if pipe.waiting:
            try:
                del pipe.waiting[:pipe.sink.send(pipe.waiting)]
            except BlockingIOError:
                pass
        if pipe.ended and not pipe.waiting and not pipe.shut:
            pipe.shut = True
            pipe.sink.shutdown(socket.SHUT_WR)
        other = self.pipes.get(pipe.sink)
        if pipe.shut and other and other.shut:
            self.drop(pipe)

    def drop(self, pipe):
        for sock in (pipe.source, pipe.sink):
            self.pipes.pop(sock, None)
            sock.close()
