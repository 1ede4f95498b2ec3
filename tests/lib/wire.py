"""The native wire spoken by Python, so that the conductor is not tested by its own code alone.

A Sender is one session: a stream, a datagram socket and a thread that beats for all its agents. It
beats again after a resync, attaches after the stream is lost, and joins again only when it is told to:
.joins counts how often it has joined."""

import os
import select
import socket
import struct
import threading
import time

MAGIC, VERSION = 0x4d75, 1
JOIN, ATTACH, BEAT, REPORT, LEAVE, ENDED = 1, 2, 3, 4, 5, 6
JOINED, ACK, DONE, ERROR = 65, 66, 67, 68
OK, RESYNC, REJOIN, SUPERSEDED, FENCED, DATAGRAMS = range(6)
EAGAIN = -6
MASK = (1 << 64) - 1


def rotl(x, n):
    return (x << n | x >> (64 - n)) & MASK


def siphash128(key, data):
    k0, k1 = struct.unpack('<QQ', key)
    v0, v1 = k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D ^ 0xEE
    v2, v3 = k0 ^ 0x6C7967656E657261, k1 ^ 0x7465646279746573

    def rounds(n):
        nonlocal v0, v1, v2, v3
        for _ in range(n):
            v0 = (v0 + v1) & MASK
            v1 = rotl(v1, 13) ^ v0
            v0 = rotl(v0, 32)
            v2 = (v2 + v3) & MASK
            v3 = rotl(v3, 16) ^ v2
            v0 = (v0 + v3) & MASK
            v3 = rotl(v3, 21) ^ v0
            v2 = (v2 + v1) & MASK
            v1 = rotl(v1, 17) ^ v2
            v2 = rotl(v2, 32)

    tail = len(data) % 8
    words = list(struct.unpack(f'<{len(data) // 8}Q', data[:len(data) - tail]))
    words.append(int.from_bytes(data[len(data) - tail:], 'little') | (len(data) & 255) << 56)
    for word in words:
        v3 ^= word
        rounds(2)
        v0 ^= word
    v2 ^= 0xEE
    rounds(4)
    low = v0 ^ v1 ^ v2 ^ v3
    v1 ^= 0xDD
    rounds(4)
    return struct.pack('<QQ', low, v0 ^ v1 ^ v2 ^ v3)


def pack(value):
    """MessagePack, as far as the wire needs it."""
    if isinstance(value, int):
        if value < 0:
            return b'\xd3' + struct.pack('>q', value)
        return bytes([value]) if value < 128 else b'\xcf' + struct.pack('>Q', value)
    if isinstance(value, str):
        raw = value.encode()
        return b'\xdb' + struct.pack('>I', len(raw)) + raw
    if isinstance(value, bytes):
        return b'\xc5' + struct.pack('>H', len(value)) + value
    if isinstance(value, list):
        return b'\xdc' + struct.pack('>H', len(value)) + b''.join(map(pack, value))
    return b'\xde' + struct.pack('>H', len(value)) + b''.join(pack(k) + pack(v) for k, v in value.items())


def unpack(data, at=0):
    """Returns the value at @at and where the next one begins."""
    b = data[at]
    at += 1

    def number(n, signed=False):
        return int.from_bytes(data[at:at + n], 'big', signed=signed), at + n

    def many(n, at, pairs):
        items = []
        for _ in range(n * (2 if pairs else 1)):
            item, at = unpack(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2])) if pairs else items), at

    if b < 0x80:
        return b, at
    if b < 0xa0:
        return many(b & 15, at, b < 0x90)
    if b >= 0xe0:
        return b - 256, at
    if 0xcc <= b <= 0xcf:
        return number(1 << (b - 0xcc))
    if 0xd0 <= b <= 0xd3:
        return number(1 << (b - 0xd0), True)
    if b in (0xdc, 0xdd, 0xde, 0xdf):
        n, at = number(2 if b in (0xdc, 0xde) else 4)
        return many(n, at, b >= 0xde)
    if 0xa0 <= b < 0xc0:
        n = b & 31
    elif b in (0xd9, 0xda, 0xdb):
        n, at = number(1 << (b - 0xd9))
    elif b in (0xc4, 0xc5, 0xc6):
        n, at = number(1 << (b - 0xc4))
    else:
        return {0xc0: None, 0xc2: False, 0xc3: True}[b], at
    raw = bytes(data[at:at + n])
    return (raw if 0xc4 <= b <= 0xc6 else raw.decode()), at + n


def frame(kind, body):
    raw = bytes([kind]) + (body if isinstance(body, bytes) else pack(body))
    return struct.pack('>I', len(raw)) + raw


def receive(sock, n):
    data = b''
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise ConnectionError('the conductor closed the stream')
        data += more
    return data


def receive_frame(sock):
    body = receive(sock, struct.unpack('>I', receive(sock, 4))[0])
    return body[0], (body[1:] if body[0] in (ATTACH, BEAT, ACK) else unpack(body, 1)[0])


def join_body(agents, start_id, session=0, version=VERSION, token=''):
    """@agents: dicts of binary, host, and maybe zone, uuid, interval_ms, labels, payload."""
    keys = {'binary': 0, 'host': 1, 'zone': 2, 'version': 3, 'uuid': 4, 'interval_ms': 5, 'labels': 6,
            'payload': 7}
    rows = [dict(sorted((keys[k], v) for k, v in a.items() if k in keys)) for a in agents]
    body = {0: version}
    if token:
        body[1] = token
    body[2] = start_id
    if session:
        body[3] = session
    body[4] = rows
    return body


class Sender:
    def __init__(self, port, names, interval=1.0, zone='', host='127.0.0.1'):
        self.at = (host, port)
        self.agents = [dict(zip(('binary', 'host'), name.split('@', 1))) for name in names]
        for agent in self.agents:
            agent['interval_ms'] = int(interval * 1000)
            if zone:
                agent['zone'] = zone
        self.interval = interval
        self.start_id = int.from_bytes(os.urandom(8), 'big') | 1
        self.session = self.epoch = self.seq = 0
        self.key = b''
        self.joins = self.beats = self.acked = self.resyncs = 0
        self.rejoin = False
        self.no_stream = 0.0  # until then: there are too many, live by datagrams alone
        self.superseded = set()
        self.silent = threading.Event()  # set: lives, but sends nothing
        self.stopped = threading.Event()
        self.stream = None
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(self.at)
        self.thread = threading.Thread(target=self.run, daemon=True)

    def names(self):
        return [f"{a['binary']}@{a['host']}" for a in self.agents]

    # What it says.

    def sealed(self, kind, indexes, path):
        self.seq += 1
        head = struct.pack('>HBBQIQQBBH', MAGIC, VERSION, kind, self.session, self.epoch, self.seq,
                           time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000000, path, 0, len(indexes))
        raw = head + b''.join(struct.pack('>I', i) for i in indexes)
        return raw + siphash128(self.key, raw)

    def dial(self):
        sock = socket.create_connection(self.at, timeout=5)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def join(self):
        """Joins all its agents, as often as it is told to come again. The stream stays open."""
        if not self.stream:
            self.stream = self.dial()
        waiting = [a for a in self.agents if 'index' not in a]
        while waiting and not self.stopped.is_set():
            self.stream.sendall(frame(JOIN, join_body(waiting, self.start_id, self.session)))
            kind, body = receive_frame(self.stream)
            while kind == ACK:
                kind, body = receive_frame(self.stream)
            if kind != JOINED:
                raise ConnectionError(f'join was answered with {kind}: {body}')
            self.take_joined(waiting, body)
            again = [a for a in waiting if 'index' not in a]
            if again and self.stopped.wait(max(0.05, max(a.get('retry', 0) for a in again))):
                return
            waiting = again

    def take_joined(self, asked, body):
        self.session, self.key, self.epoch = body[0], body[1], body[2]
        self.joins += 1
        for agent, answer in zip(asked, body[3]):
            rv = answer.get(0, 0)
            if rv == 0:
                agent.update(index=answer.get(2, 0), uuid=answer[3], incarnation=answer.get(4, 0))
            elif rv == EAGAIN:
                agent['retry'] = answer.get(1, 0) / 1000
            else:
                raise AssertionError(f'{agent} was refused: {answer}')

    def beat(self):
        indexes = [a['index'] for a in self.agents if 'index' in a and a['index'] not in self.superseded]
        for i in range(0, len(indexes), 280):
            try:
                self.udp.send(self.sealed(1, indexes[i:i + 280], 0))
                self.beats += 1
            except OSError:
                pass  # nobody listens just now

    def take_ack(self, data):
        _, _, kind, _, epoch, _, status, _, index = struct.unpack('>HBBQIQB3xII', data[:36])
        if kind != 2 or siphash128(self.key, data[:36]) != data[36:]:
            raise AssertionError('an ack that is none')
        if status in (OK, DATAGRAMS):
            self.acked += 1
            self.no_stream = time.monotonic() + 30 if status == DATAGRAMS else 0.0
        elif status == RESYNC:
            self.epoch = epoch
            self.resyncs += 1
            self.beat()
        elif status == REJOIN:
            self.rejoin = True
        elif status == SUPERSEDED:
            self.superseded.add(index)

    # How it lives.

    def attach(self):
        self.stream = self.dial()
        self.stream.sendall(frame(ATTACH, self.sealed(3, [], 1)))

    def keep_stream(self):
        try:
            if not self.stream and not self.rejoin:
                self.attach()
            if self.rejoin:
                for agent in self.agents:
                    agent.pop('index', None)
                self.session, self.rejoin = 0, False
                self.join()
        except OSError:
            self.drop_stream()

    def drop_stream(self):
        if self.stream:
            self.stream.close()
        self.stream = None

    def read_stream(self):
        try:
            kind, body = receive_frame(self.stream)
        except OSError:
            self.drop_stream()
            return
        if kind == ACK:
            self.take_ack(body)
            if struct.unpack('>B', body[24:25])[0] == RESYNC:
                self.stream.sendall(frame(ATTACH, self.sealed(3, [], 1)))
        elif kind == ERROR:
            self.rejoin |= body.get(0) in (-4, -11)
            self.drop_stream()

    def read(self, patience):
        socks = [s for s in (self.udp, self.stream) if s]
        for sock in select.select(socks, [], [], patience)[0]:
            if sock is self.udp:
                try:
                    self.take_ack(self.udp.recv(2048))
                except ConnectionError:
                    pass  # nobody listens just now
            else:
                self.read_stream()

    def run(self):
        next_beat, next_dial = time.monotonic(), 0.0
        while not self.stopped.is_set():
            now = time.monotonic()
            if self.silent.is_set():
                self.stopped.wait(0.05)
                continue
            if now >= next_beat:
                self.beat()
                next_beat = now + self.interval
            if (not self.stream or self.rejoin) and now >= max(next_dial, self.no_stream):
                self.keep_stream()
                next_dial = now + 0.2
            self.read(max(0.0, min(next_beat - time.monotonic(), 0.2)))

    def start(self):
        end = time.monotonic() + 20
        while True:  # a conductor that is full of streams refuses this one, until there is room
            try:
                self.join()
                break
            except ConnectionError:
                self.drop_stream()
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
        self.thread.start()
        return self

    def die(self):
        """Ends as a killed process does: its sockets close, and nothing more is heard."""
        self.stopped.set()
        if self.thread.ident:
            self.thread.join()
        self.drop_stream()
        self.udp.close()

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.die()
