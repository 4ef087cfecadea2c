"""Takes connections and logs what comes, byte by byte. Arguments: where to log, ports; before a port,
`slow:` makes it one whose buffer is small and that reads nothing for a while, `multipath:` one of Multipath TCP.

A line of the log is the client's address and port and, behind a tab, the bytes in hexadecimal or the word for the end:
`fin` or `reset`. Each head's end is answered.
"""

import socket
import sys
import threading
import time

lock = threading.Lock()
log = open(sys.argv[1], "a", encoding="utf-8", buffering=1)


def tell(peer, what):
    with lock:
        log.write(f"{peer[0]} {peer[1]}\t{what}\n")


def serve(connection, peer, is_slow):
    last = b""
    try:
        if is_slow:
            time.sleep(1)
        while data := connection.recv(65536):
            tell(peer, data.hex())
            seen = last + data
            for _ in range(seen.count(b"\r\n\r\n")):
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            last = b"" if seen.endswith(b"\r\n\r\n") else seen[-3:]
        tell(peer, "fin")
    except ConnectionResetError:
        tell(peer, "reset")
    except OSError:
        pass
    connection.close()


def listen(port, kind):
    protocol = 262 if kind == "multipath" else 0
    server = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, protocol)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    # Of no effect where the host does not allow it.
    server.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
    if kind == "slow":
        server.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    server.bind(("::", port))
    server.listen(256)
    while True:
        threading.Thread(target=serve, args=(*server.accept(), kind == "slow"), daemon=True).start()


for argument in sys.argv[2:]:
    kind, _, port = argument.rpartition(":")
    threading.Thread(target=listen, args=(int(port), kind)).start()
