"""Sends each case on a connection of its own.

A line of standard input is a JSON object: `from` and `to`, the client's and the server's port; `send`,
the segments (a character for a byte); and `fin`, whether the client closes its side.
"""

import concurrent.futures
import json
import socket
import struct
import sys
import time


def play(case):
    peer = socket.create_connection(("127.0.0.1", case["to"]), source_address=("127.0.0.1", case["from"]))
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    segments = [segment.encode("latin-1") for segment in case["send"]]
    try:
        for i, segment in enumerate(segments):
            if i > 0:
                time.sleep(0.3)
            last = i + 1 == len(segments)
            if case["fin"] and last:
                # The FIN goes with the data.
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
            peer.sendall(segment)
        if case["fin"]:
            peer.shutdown(socket.SHUT_WR)
        # Longer than TCP waits before it sends for the second time.
        peer.settimeout(0.6)
        while peer.recv(65536):
            pass
    except (TimeoutError, ConnectionError):
        pass
    # Reset: what was denied is not sent again.
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


cases = [json.loads(line) for line in sys.stdin]
with concurrent.futures.ThreadPoolExecutor(48) as pool:
    list(pool.map(play, cases))
