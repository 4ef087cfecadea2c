"""A WebSocket server that sends back what it gets, and prints the path of each connection. Argument: port."""

import asyncio
import sys

import websockets


async def echo(socket):
    # Where it is depends on the version.
    print(socket.path if hasattr(socket, "path") else socket.request.path, flush=True)
    async for message in socket:
        await socket.send(message)


async def main():
    async with websockets.serve(echo, "0.0.0.0", int(sys.argv[1]), max_size=None, max_queue=None):
        await asyncio.Future()


asyncio.run(main())
