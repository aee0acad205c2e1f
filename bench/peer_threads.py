"""ThreadPoolExecutor over http.client: what a script in plain Python does, done well.

One kept-alive connection per thread; work goes to the pool in slices, so that submit and its
future (about 10 us) are not what is measured.
"""

import http.client
import json
import resource
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

MOST_THREADS = 64
here = threading.local()


def get(host, port, number):
    if not hasattr(here, "connection"):
        here.connection = http.client.HTTPConnection(host, port, timeout=60)
    try:
        here.connection.request("GET", f"/products/{number % 1000 + 1}")
        answer = here.connection.getresponse()
        return answer.status == 200 and len(answer.read()) > 0
    except (OSError, http.client.HTTPException):
        here.connection.close()
        return False


def some(host, port, numbers):
    return sum(get(host, port, number) for number in numbers)


def main(base, requests, in_flight):
    url = urlsplit(base)
    workers = min(in_flight, MOST_THREADS)
    size = max(1, min(100, requests // workers))
    slices = [range(i, min(i + size, requests)) for i in range(0, requests, size)]
    begin = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        ok = sum(pool.map(lambda numbers: some(url.hostname, url.port or 80, numbers), slices))
    return {
        "requests": requests,
        "seconds": time.perf_counter() - begin,
        "peak_rss_kb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        "ok": ok,
        "workers": workers,
    }


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("usage: peer_threads.py BASE_URL REQUESTS IN_FLIGHT")
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
