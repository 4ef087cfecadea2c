"""A WebSocket client. Arguments: URL, token, what to have in messages, how many small ones, how long the long one is."""

import asyncio
import sys

import websockets

url, token, bait, count, length = sys.argv[1:]
headers = "extra_headers" if int(websockets.__version__.split(".")[0]) < 14 else "additional_headers"


async def talk(compression):
    options = {headers: {"Authorization": f"Bearer {token}"}, "compression": compression}
    async with websockets.connect(url, max_size=None, **options) as socket:
        for at in range(int(count)):
            message = f"{at}{bait}" * (at % 10)
            await socket.send(message)
            assert await socket.recv() == message, at
        # Both ways at once.
        messages = [f"{at}{bait}".encode() * (at % 50) for at in range(int(count))]

        async def send():
            for message in messages:
                await socket.send(message)

        sending = asyncio.ensure_future(send())
        for at, message in enumerate(messages):
            assert await socket.recv() == message, at
        await sending
        message = (bait * (int(length) // len(bait))).encode()
        await socket.send(message)
        assert await socket.recv() == message
        # A message in many frames.
        await socket.send(f"{at}{bait}" for at in range(int(count)))
        assert await socket.recv() == "".join(f"{at}{bait}" for at in range(int(count)))
        await socket.ping()


for compression in (None, "deflate"):
    asyncio.run(talk(compression))
