"""A client on Python's http.client. Arguments: host, port, token, how many requests."""

import http.client
import sys

host, port, token, count = sys.argv[1:]
connection = http.client.HTTPConnection(host, int(port), timeout=60)
for at in range(int(count)):
    body = f"{at} ".encode() * (37 * at % 5_000)
    headers = {"Authorization": f"Bearer {token}"}
    if at % 2:
        # In chunks.
        parts = (body[start : start + 1_000] for start in range(0, len(body), 1_000))
        connection.request("POST", "/http_client", parts, headers, encode_chunked=True)
    else:
        connection.request("POST", "/http_client", body, headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    assert answer.status == 200 and text.startswith(f"{len(body)} "), (at, answer.status, text)
