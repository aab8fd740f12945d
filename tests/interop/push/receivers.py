"""Processes of sessions that count what is pushed to them, and when the last came."""

import atexit
import collections
import ctypes
import multiprocessing
import os
import select
import signal
import time

from lean import Http2, frames, masked, opened

STREAMS = 90


class Receivers:
    """Some sessions in a process of their own. Over HTTP/1.1 their system keeps `buffer` bytes that
    they do not read: thousands that are frozen would take all that it has for TCP."""

    def __init__(self, port, path, count, over_http2=False, core=None, buffer=None):
        self.count, self.buffer = count, buffer
        self.came = multiprocessing.RawValue(ctypes.c_uint64, 0)
        self.last = multiprocessing.RawValue(ctypes.c_double, 0)
        self.ready, self.ends = multiprocessing.Event(), multiprocessing.Event()
        self.told, told = multiprocessing.Pipe(False)
        run = (self._run, (port, path, count, over_http2, core, told))
        self.process = multiprocessing.Process(target=run[0], args=run[1], daemon=True)
        self.process.start()

    def wait(self):
        """Until all are open."""
        while not self.ready.wait(0.1):
            assert self.process.is_alive(), "a process of receivers ended"

    def freeze(self):
        """It reads no more, until `thaw`."""
        os.kill(self.process.pid, signal.SIGSTOP)
        # A stopped process would not end with this one.
        atexit.register(self.thaw)

    def thaw(self):
        if self.process.is_alive():
            os.kill(self.process.pid, signal.SIGCONT)

    def end(self):
        """How many messages each session had, as a count of counts; messages that are not whole; and
        by which codes sessions ended, 0 where there was none."""
        self.ends.set()
        assert self.told.poll(30), "receivers do not answer"
        told = self.told.recv()
        self.process.join()
        return told

    def _run(self, port, path, count, over_http2, core, told):
        if core is not None:
            os.sched_setaffinity(0, {core})
        poll = select.epoll()
        self.had, self.bad, self.closes, self.closed = collections.Counter(), 0, collections.Counter(), set()
        read = (self._http2 if over_http2 else self._http1)(port, path, count, poll)
        self.ready.set()
        while not self.ends.is_set():
            for number, _ in poll.poll(0.1):
                read(number)
        histogram = collections.Counter(self.had.values())
        histogram[0] += count - len(self.had)
        told.send((dict(+histogram), self.bad, dict(self.closes)))

    def _count(self, session, messages):
        for opcode, payload in messages:
            if opcode in (1, 2):
                # Ends with what it begins with: whole.
                self.bad += payload[:8] != payload[-8:]
                self.had[session] += 1
                self.came.value += 1
                self.last.value = time.monotonic()
            elif opcode == 9:
                yield masked(payload, 10)
            elif opcode == 8:
                self._ended(session, int.from_bytes(payload[:2], "big"))

    def _ended(self, session, code):
        if session not in self.closed:
            self.closes[code] += 1
            self.closed.add(session)

    def _http1(self, port, path, count, poll):
        socks, rest = {}, {}
        for number in range(count):
            sock = opened(port, path.format(number=number), self.buffer)
            sock.setblocking(False)
            socks[sock.fileno()], rest[sock.fileno()] = sock, b""
            poll.register(sock, select.EPOLLIN)

        def read(number):
            try:
                data = socks[number].recv(65536)
            except ConnectionResetError:
                data = b""
            if not data:
                self._ended(number, 0)
                return poll.unregister(socks[number])
            found, rest[number] = frames(rest[number] + data)
            for pong in self._count(number, found):
                if number not in self.closed:
                    socks[number].sendall(pong)
        return read

    def _http2(self, port, path, count, poll):
        connections, rest = {}, collections.defaultdict(bytes)
        left = count
        while left:
            connection = Http2(port)
            connections[connection.sock.fileno()] = connection
            for _ in range(min(STREAMS, left)):
                connection.open(path.format(number=count - left))
                left -= 1
            while connection.granted < connection.streams:
                assert connection.read() is not None, "a connection of HTTP/2 ended"
            poll.register(connection.sock, select.EPOLLIN)

        def read(number):
            came = connections[number].read()
            if came is None:
                self._ended(number, 0)
                return poll.unregister(connections[number].sock)
            for stream, data in came:
                found, rest[number, stream] = frames(rest[number, stream] + data)
                for _ in self._count((number, stream), found):
                    pass
        return read
