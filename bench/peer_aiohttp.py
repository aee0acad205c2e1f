"""aiohttp on uvloop: one session, N workers taking numbers from one iterator, N connections kept.

Workers instead of one task per request, because a million tasks would measure the memory of tasks.
"""

import asyncio
import json
import resource
import sys
import time

import aiohttp
import uvloop


async def worker(session, base, numbers, tally):
    for number in numbers:
        try:
            async with session.get(f"{base}/products/{number % 1000 + 1}") as answer:
                body = await answer.read()
                tally[0] += answer.status == 200 and len(body) > 0
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError):
            pass


async def main(base, requests, in_flight):
    numbers = iter(range(requests))
    tally = [0]
    connector = aiohttp.TCPConnector(limit=in_flight, limit_per_host=in_flight)
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        begin = time.perf_counter()
        await asyncio.gather(
            *(worker(session, base, numbers, tally) for _ in range(in_flight))
        )
        seconds = time.perf_counter() - begin
    return {
        "requests": requests,
        "seconds": seconds,
        "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "ok": tally[0],
    }


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: peer_aiohttp.py BASE_URL REQUESTS IN_FLIGHT")
    uvloop.install()
    print(json.dumps(asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))))
