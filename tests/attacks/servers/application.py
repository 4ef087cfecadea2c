"""An application on Python's http.server that reads its bodies. Arguments: where to log, ports.

A line of the log is a request whose head was read, its parts parted by tabs: the client's address and port, 200, the
method and target, the credentials.
"""

import http.server
import socket
import sys
import threading

log = open(sys.argv[1], "a", encoding="utf-8", buffering=1)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 20

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def do_CONNECT(self):
        self.send_response(405)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def answer(self):
        credentials = [*self.headers.get_all("Authorization", []), *self.headers.get_all("X-API-Key", [])]
        peer = f"{self.client_address[0]} {self.client_address[1]}"
        parts = [peer, "200", f"{self.command} {self.path}", *credentials]
        log.write("\t".join(ascii(part)[1:-1] for part in parts) + "\n")
        length = self.headers.get("Content-Length")
        if length is not None:
            self.rfile.read(int(length))
        elif self.headers.get("Transfer-Encoding", "").strip().lower() == "chunked":
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self.rfile.read(size + 2)
            while self.rfile.readline().strip():
                pass
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok" if self.command != "HEAD" else b"")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256
    address_family = socket.AF_INET6
    daemon_threads = True

    def server_bind(self):
        # Of no effect where the host does not allow it.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_FASTOPEN, 16)
        super().server_bind()

    def handle_error(self, *_):
        pass


for port in sys.argv[2:]:
    threading.Thread(target=Server(("::", int(port)), Handler).serve_forever).start()
