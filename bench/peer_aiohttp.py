"""aiohttp on uvloop, one session, in two ways.

tasks: one task per request, gathered, under a connection limit of N: how aiohttp is mostly used.
workers: N tasks that take numbers from one iterator: how it is used by those who know that waiting
for a free connection costs aiohttp more than the request does.
"""

import asyncio
import json
import resource
import sys
import time

import aiohttp
import uvloop


async def get(session, base, number):
    try:
        async with session.get(f"{base}/products/{number % 1000 + 1}") as answer:
            return answer.status == 200 and len(await answer.read()) > 0
    except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
        return False


async def worker(session, base, numbers):
    return sum([await get(session, base, number) for number in numbers])


async def main(way, base, requests, in_flight):
    connector = aiohttp.TCPConnector(limit=in_flight)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begin = time.perf_counter()
        if way == "tasks":
            work = (get(session, base, number) for number in range(requests))
        else:
            numbers = iter(range(requests))
            work = (worker(session, base, numbers) for _ in range(in_flight))
        ok = sum(await asyncio.gather(*work))
        seconds = time.perf_counter() - begin
    return {
        "requests": requests,
        "seconds": seconds,
        "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "ok": ok,
    }


if __name__ == "__main__":
    if len(sys.argv) != 5 or sys.argv[1] not in ("tasks", "workers"):
        sys.exit("usage: peer_aiohttp.py tasks|workers BASE_URL REQUESTS IN_FLIGHT")
    uvloop.install()
    way, url, *counts = sys.argv[1:]
    print(json.dumps(asyncio.run(main(way, url, *map(int, counts)))))
