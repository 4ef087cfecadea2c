// An application on Node's http. Arguments: where to log, ports. The log is that of application.py.
"use strict";

const fs = require("fs");
const http = require("http");

const [path, ...ports] = process.argv.slice(2);
const log = fs.openSync(path, "a");

function tell(request) {
    const credentials = [];
    for (let i = 0; i < request.rawHeaders.length; i += 2) {
        if (["authorization", "x-api-key"].includes(request.rawHeaders[i].toLowerCase())) {
            credentials.push(request.rawHeaders[i + 1]);
        }
    }
    const parts = [request.socket.peer, "200", `${request.method} ${request.url}`, ...credentials];
    const line = parts.map((part) => JSON.stringify(part).slice(1, -1)).join("\t");
    fs.writeSync(log, line + "\n");
}

for (const port of ports) {
    const server = http.createServer((request, response) => {
        tell(request);
        request.resume();
        request.on("end", () => response.end("ok"));
        request.on("error", () => {});
    });
    server.on("connection", (socket) => {
        // Later there may be none: of a connection that was reset the kernel knows it no more.
        socket.on("error", () => {});
        socket.peer = `${socket.remoteAddress ?? "::"} ${socket.remotePort ?? 0}`;
    });
    server.on("connect", (request, socket) => {
        tell(request);
        socket.end("HTTP/1.1 405 No\r\n\r\n");
    });
    server.on("upgrade", (request, socket) => {
        tell(request);
        if (request.headers.upgrade === "websocket") {
            socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
            // What comes now is no request; it comes back as it is.
            socket.pipe(socket);
        } else {
            socket.end("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n");
        }
    });
    server.on("clientError", (_, socket) => socket.writable && socket.end("HTTP/1.1 400 No\r\n\r\n"));
    server.listen(Number(port), "::");
}
