// A client on fetch (undici), with several requests at once. Arguments: URL, token, how many requests.
"use strict";

const [url, token, count] = process.argv.slice(2);
const AT_ONCE = 8;

async function ask(at) {
    const body = Buffer.from(`${at} `.repeat((37 * at) % 5_000));
    const headers = { Authorization: `Bearer ${token}` };
    // From a stream: in chunks.
    const stream = () =>
        new ReadableStream({
            start(controller) {
                for (let from = 0; from < body.length; from += 1_000) {
                    controller.enqueue(body.subarray(from, from + 1_000));
                }
                controller.close();
            },
        });
    const answer = await fetch(`${url}/fetch`, {
        method: "POST",
        headers,
        body: at % 2 ? stream() : body,
        duplex: "half",
    });
    const text = await answer.text();
    if (answer.status !== 200 || !text.startsWith(`${body.length} `)) {
        throw new Error(`request ${at}: ${answer.status} ${text}`);
    }
}

async function several(first) {
    for (let at = first; at < Number(count); at += AT_ONCE) {
        await ask(at);
    }
}

Promise.all(Array.from({ length: AT_ONCE }, (_, first) => several(first))).catch((error) => {
    console.error(error);
    process.exit(1);
});
