"""Python's part of what weir_tasks.c measures: concurrent.futures and asyncio.

    peer_futures.py threads sleep|map|single TASKS WORKERS
    peer_futures.py asyncio sleep|map|single TASKS
    peer_futures.py fork|forkserver|spawn map|single|start TASKS WORKERS
"""

import asyncio
import json
import multiprocessing
import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

IN_FLIGHT = 4096


def same(number):
    return number


def sleep_a_second(number):
    time.sleep(1)
    return number


def run_map(pool, work, tasks):
    return sum(number == result for number, result in enumerate(pool.map(work, range(tasks))))


def run_single(pool, tasks):
    return sum(pool.submit(same, number).result() == number for number in range(tasks))


async def same_async(number):
    return number


async def sleep_async(number):
    await asyncio.sleep(1)
    return number


async def gather(work, tasks, at_once):
    ok = 0
    for begin in range(0, tasks, at_once):
        numbers = range(begin, min(begin + at_once, tasks))
        results = await asyncio.gather(*map(work, numbers))
        ok += sum(number == result for number, result in zip(numbers, results))
    return ok


async def run_asyncio(what, tasks):
    if what == "sleep":
        return await gather(sleep_async, tasks, tasks)
    if what == "map":
        return await gather(same_async, tasks, IN_FLIGHT)
    ok = 0
    for number in range(tasks):
        ok += await asyncio.create_task(same_async(number)) == number
    return ok


def clock():
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return time.perf_counter(), sum(one.ru_utime + one.ru_stime for one in used)


def make_pool(how, workers):
    if how == "threads":
        return ThreadPoolExecutor(workers)
    return ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(how))


def measure(how, what, tasks, workers):
    """(results that were right, seconds, processor seconds)"""
    begin, used = clock()
    if how == "asyncio":
        ok = asyncio.run(run_asyncio(what, tasks))
        end, after = clock()
        return ok, end - begin, after - used
    with make_pool(how, workers) as pool:
        if what in ("map", "single"):
            run_map(pool, same, min(tasks, 1000))  # its workers' start is no task's cost
            begin, used = clock()
        if what == "sleep":
            ok = run_map(pool, sleep_a_second, tasks)
        elif what == "map":
            ok = run_map(pool, same, tasks)
        else:
            ok = run_single(pool, tasks)
        end = clock()[0]
    return ok, end - begin, clock()[1] - used


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    how, what, tasks = sys.argv[1], sys.argv[2], int(sys.argv[3])
    workers = int(sys.argv[4]) if len(sys.argv) > 4 else None
    ok, seconds, processor = measure(how, what, tasks, workers)
    print(json.dumps({"tasks": tasks, "ok": ok, "seconds": seconds, "processor": processor}))


if __name__ == "__main__":
    main()
