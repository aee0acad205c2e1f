"""Allocations that fail, one or all from one on, wherever it may be in a run.

`WEIR_LONG=1` has three hundred of a run's fail, instead of a few in each part of it.
"""

import itertools
import os
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest

from faults import LONG, NAMES, check, faults, scenes, tls_scene  # noqa: F401 (faults: a fixture)

SAMPLES = 4  # of a scene, in each way


def sample(total):
    """Half of them among the last, where the items are: first comes what is loaded and read."""
    if LONG:
        return range(1, total + 2, 1 + total // 300)
    half = SAMPLES // 2
    early = [1 + i * total // half for i in range(half)]
    return early + [total - 1 - i * min(total, 300) // half for i in range(half)]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("way", ["", "+"], ids=["one", "all-after"])
def test_allocations_fail(weir, mock, faults, tmp_path, name, way):
    torture(scenes(weir, mock().url)[name], faults, tmp_path, way)


@pytest.mark.parametrize("way", ["", "+"], ids=["one", "all-after"])
def test_allocations_fail_over_tls(weir, nginx_tls, faults, tmp_path, way):
    torture(tls_scene(weir, nginx_tls), faults, tmp_path, way)


def torture(scene, faults, tmp_path, way):
    scene.learn(tmp_path / "learn")
    count = faults("malloc:0:ENOMEM")
    check(scene, scene.run(tmp_path / "count", count), tmp_path / "count")
    numbers = itertools.count()

    def one(nth):
        folder = tmp_path / f"run-{next(numbers)}"
        rule = f"malloc:{nth}{way}:ENOMEM"
        done = scene.run(folder, faults(rule))
        try:
            check(scene, done, folder)
        except (AssertionError, ValueError) as failure:
            raise AssertionError(f"{rule}: {failure}") from failure
        shutil.rmtree(folder)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        failures = [str(result.exception()) for result in
                    [pool.submit(one, nth) for nth in sample(count.seen())]
                    if result.exception()]
    assert not failures, "\n\n".join(failures[:10])
