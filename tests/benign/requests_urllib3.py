"""Clients on requests, and on urllib3 alone. Arguments: URL, token, how many requests of each."""

import sys

import requests
import urllib3

url, token, count = sys.argv[1:]
headers = {"Authorization": f"Bearer {token}"}
session = requests.Session()
session.trust_env = False
pool = urllib3.PoolManager(headers=headers, timeout=60)
for at in range(int(count)):
    body = f"{at} ".encode() * (37 * at % 5_000)
    # From a generator: in chunks.
    parts = (body[start : start + 1_000] for start in range(0, len(body), 1_000))
    answer = session.post(f"{url}/requests", data=parts if at % 2 else body, headers=headers, timeout=60)
    assert answer.status_code == 200 and answer.text.startswith(f"{len(body)} "), (at, answer.text)
    answer = pool.request("POST", f"{url}/urllib3", body=body)
    assert answer.status == 200 and answer.data.startswith(f"{len(body)} ".encode()), (at, answer.data)
