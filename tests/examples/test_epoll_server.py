#!/usr/bin/env python3
"""examples/epoll_server under clients that behave and clients that do not.

    test_epoll_server.py SERVER

Answers and their order, 20 clients that send 1,000 requests each before they read, bad lines, a
client that does not read, deadlines; and that each SET which was answered OK is there after
SIGTERM and after SIGKILL in the middle of many.
"""
import contextlib, os, random, re, shutil, signal, socket, subprocess, sys, tempfile, time

SERVER = os.path.abspath(sys.argv[1])
SECONDS_MAX = 60  # for one answer: it takes that long only where something is broken


class Server:
    def __init__(self, store, deadline_ms=SECONDS_MAX * 1000):
        self.process = subprocess.Popen([SERVER, store, "0", str(deadline_ms)],
                                        stdout=subprocess.PIPE)
        self.port = int(self.process.stdout.readline().split()[1])

    def end(self, with_signal):
        self.process.send_signal(with_signal)
        status = self.process.wait(SECONDS_MAX)
        self.process.stdout.close()
        assert status == (0 if with_signal == signal.SIGTERM else -with_signal), status


class Client:
    def __init__(self, server, receive_buffer=None):
        self.socket = socket.socket()
        self.socket.settimeout(SECONDS_MAX)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect(("127.0.0.1", server.port))
        self.file = self.socket.makefile("rb")

    def send(self, *lines):
        self.socket.sendall(b"".join(line.encode() + b"\n" for line in lines))

    def read(self):
        """The next answer; None: the server has closed the connection."""
        with contextlib.suppress(ConnectionResetError):
            line = self.file.readline()
            return line[:-1].decode() if line.endswith(b"\n") else None

    def ask(self, line):
        self.send(line)
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()


@contextlib.contextmanager
def serving(store, **options):
    server = Server(store, **options)
    try:
        yield server
        server.end(signal.SIGTERM)
    finally:
        server.process.kill()


def is_(got, wanted):
    if isinstance(got, list):
        assert len(got) == len(wanted), f"got {len(got)} answers, not {len(wanted)}"
        for pair in zip(got, wanted):
            is_(*pair)
    else:
        assert got == wanted, f"got {got!r}, not {wanted!r}"


def starts(got, wanted):
    assert got is not None and got.startswith(wanted), f"got {got!r}, not {wanted!r}..."


def test_each_command_answers(store):
    with serving(store) as server:
        client = Client(server)
        is_(client.ask("GET a"), "NONE")
        is_(client.ask("SET a 1"), "OK")
        is_(client.ask("GET a"), "VALUE 1")
        is_(client.ask("SET b two words"), "OK")
        is_(client.ask("GET b\r"), "VALUE two words")
        is_(client.ask("SET empty "), "OK")
        is_(client.ask("GET empty"), "VALUE ")
        is_(client.ask("DEL a"), "OK")
        is_(client.ask("DEL a"), "OK")
        is_(client.ask("GET a"), "NONE")
        is_(client.ask("SYNC"), "OK")
        client.send("SCAN a 10", "SCAN b 1", "SCAN z 5", "SCAN a 0")
        is_([client.read() for _ in range(6)],
            ["ROW b two words", "ROW empty ", "END", "ROW b two words", "END", "END"])
        is_(client.read(), "END")
        starts(client.ask("STATS"), "STATS gets=")
        client.send("GET b", "QUIT", "GET b")
        is_([client.read() for _ in range(3)], ["VALUE two words", "BYE", None])


def test_what_was_set_outlives_the_server(store):
    with serving(store) as server:
        is_(Client(server).ask("SET kept 1"), "OK")
    with serving(store) as server:
        is_(Client(server).ask("GET kept"), "VALUE 1")


def test_pipelines_of_many_clients(store):
    """All are sent before one answer is read; what is set is seen by the GET behind its answer."""
    with serving(store) as server:
        clients = [Client(server) for _ in range(20)]
        for number, client in enumerate(clients):
            client.send(*(f"SET {number}:{i} {i * i}" for i in range(500)))
        for client in clients:
            is_([client.read() for _ in range(500)], ["OK"] * 500)
        for number, client in enumerate(clients):
            lines = [(f"GET {number}:{i}", f"NOPE {i}")[i % 10 == 9] for i in range(1000)]
            client.send(*lines)
            client.socket.shutdown(socket.SHUT_WR)  # the answers still come
        for number, client in enumerate(clients):
            for i in range(1000):
                answer = client.read()
                if i % 10 == 9:
                    starts(answer, "ERR INVALID")
                else:
                    is_(answer, f"VALUE {i * i}" if i < 500 else "NONE")
            is_(client.read(), None)


def test_bad_lines_are_told(store):
    with serving(store) as server:
        client = Client(server)
        for line in ("", " ", "GET", "GET ", "GET a b", "SET a", "DEL", "get a", "SCAN a", "SYNC 1",
                     "SCAN a -1", "SCAN a 1001", "SCAN a 99999999999999999999", "SCAN a 1x",
                     "SCAN a ", "QUIT now", "\0", "SET  value"):
            starts(client.ask(line), "ERR INVALID")
        is_(client.ask("SET k " + "v" * 4000), "OK")
        is_(client.ask("GET k"), "VALUE " + "v" * 4000)
        is_(client.ask("SET long " + "v" * (4095 - 9)), "OK")
        client.send("GET k", "SET k " + "v" * 5000, "GET k")
        is_(client.read(), "VALUE " + "v" * 4000)
        starts(client.read(), "ERR INVALID a line has at most")
        is_(client.read(), None)
        random.seed(1)
        for _ in range(20):  # noise; and away in the middle of things
            client = Client(server)
            client.socket.sendall(random.randbytes(random.randrange(1, 4000)))
            client.send(*["SCAN a 1000", "SET x 1", "GET k"] * random.randrange(1, 20))
            client.close()
        is_(Client(server).ask("GET k"), "VALUE " + "v" * 4000)


def test_slow_reader_holds_up_nobody(store):
    """It is not read from any more, others are served, and it gets everything in the end."""
    with serving(store) as server:
        other, slow = Client(server), Client(server, receive_buffer=4096)
        other.send(*(f"SET row{i:03} {'v' * 3000}" for i in range(100)))
        is_([other.read() for _ in range(100)], ["OK"] * 100)
        slow.send(*["SCAN row 1000", "GET row001"] * 40)
        time.sleep(0.2)
        for i in range(50):
            is_(other.ask(f"GET row{i:03}"), "VALUE " + "v" * 3000)
        for _ in range(40):
            for i in range(100):
                is_(slow.read(), f"ROW row{i:03} " + "v" * 3000)
            is_(slow.read(), "END")
            is_(slow.read(), "VALUE " + "v" * 3000)
        slow.send(*["SCAN row 1000"] * 40)  # and ends with it unread
        is_(other.ask("GET row001"), "VALUE " + "v" * 3000)


def test_too_many_clients_are_told(store):
    with serving(store) as server:
        clients = [Client(server) for _ in range(64)]
        is_([client.ask("GET a") for client in clients], ["NONE"] * 64)
        starts(Client(server).read(), "ERR BUSY")
        clients[0].send("QUIT")
        is_([clients[0].read(), clients[0].read()], ["BYE", None])
        is_(Client(server).ask("GET a"), "NONE")


def test_deadline_is_told(store):
    """Of 0 ms: it has passed before anything was begun, so nothing was done."""
    with serving(store, deadline_ms=0) as server:
        client = Client(server)
        for line in ("SET a 1", "DEL a"):
            starts(client.ask(line), "ERR TIMED_OUT not done")
        for line in ("GET a", "SCAN a 10", "SYNC"):
            starts(client.ask(line), "ERR TIMED_OUT")
    with serving(store) as server:
        is_(Client(server).ask("GET a"), "NONE")


def end_under_load(store, with_signal, round_number):
    """Keys whose SET was answered OK, and keys of which it was said that they were not set. It may all
    be done before the signal comes: then there was nothing to see this time."""
    server = Server(store)
    clients = [Client(server) for _ in range(8)]
    kept, refused, unknown = [], [], 0
    for number, client in enumerate(clients):
        client.send(*(f"SET {round_number}:{number}:{i} {i}" for i in range(1500)))
    for _ in range(20):  # some of the answers are there
        is_([client.read() for client in clients], ["OK"] * 8)
    time.sleep(random.random() * 0.02)
    server.end(with_signal)
    for number, client in enumerate(clients):
        kept += [f"{round_number}:{number}:{i}" for i in range(20)]
        for i in range(20, 1500):
            answer = client.read()
            if answer is None:
                break
            if answer == "OK":
                kept.append(f"{round_number}:{number}:{i}")
            else:
                starts(answer, "ERR CLOSED")
                if "maybe done" in answer:
                    unknown += 1
                else:
                    refused.append(f"{round_number}:{number}:{i}")
        client.close()
    print(f"  {with_signal.name}: {len(kept)} kept, {unknown} maybe, {len(refused)} refused")
    return kept, refused


def check_round(store, kept, refused):
    with serving(store) as server:
        client = Client(server)
        for key in kept:
            is_(client.ask(f"GET {key}"), "VALUE " + key.split(":")[2])
        for key in refused:
            is_(client.ask(f"GET {key}"), "NONE")


def test_answered_sets_are_there_after_the_end(store):
    cut_off = 0
    for round_number in range(6):
        with_signal = (signal.SIGTERM, signal.SIGKILL)[round_number % 2]
        kept, refused = end_under_load(store, with_signal, round_number)
        cut_off += len(kept) < 8 * 1500
        check_round(store, kept, refused)
    assert cut_off > 0, "each time it ended when all was done: no load"


def main():
    random.seed(7)
    tests = [(name, call) for name, call in globals().items() if re.match("test_", name)]
    for name, call in tests:
        work = tempfile.mkdtemp(prefix="gyre-server-")
        started = time.monotonic()
        try:
            call(os.path.join(work, "store"))
        finally:
            shutil.rmtree(work)
        print(f"{name}: ok, {time.monotonic() - started:.1f} s", flush=True)


main()
