"""An application on Python's http.server that reads its bodies. Arguments: where to log, ports.

It logs of each request the client's port, the target and the credential, when the head was read.
"""

import http.server
import sys
import threading


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __getattr__(self, name):
        if name.startswith("do_"):
            return self.answer
        raise AttributeError(name)

    def answer(self):
        credentials = [*self.headers.get_all("Authorization", []), *self.headers.get_all("X-API-Key", [])]
        with open(sys.argv[1], "a", encoding="utf-8") as log:
            log.write(f"{self.client_address[1]} {self.path} {credentials!a}\n")
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 256


for port in sys.argv[2:]:
    server = Server(("127.0.0.1", int(port)), Handler)
    threading.Thread(target=server.serve_forever).start()
