"""What weir scan is measured over: files made for it, kept while bench/run.py runs, and slow ones."""

import atexit
import dataclasses
import functools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import OUT, Failed, say

LATENCY_MS = 5


@dataclasses.dataclass(frozen=True)
class Expression:
    """Written so that it means the same in every client's syntax."""

    name: str
    regex: str
    ignore_case: bool = False


LITERAL = Expression("literal", "connection reset by peer")
EXPRESSIONS = [
    LITERAL,
    Expression("alternation", "deadlock detected|disk quota exceeded|certificate has expired"),
    Expression(
        "classes",
        "user=[a-z]{3,8}[0-9]{1,3} [A-Z]{3,5} /v[0-9]/[a-z]+/[0-9]+ status=50[34]",
    ),
    Expression("no literal", "[0-9]{4}[A-F]{4}[0-9]{4}"),
    Expression("ignoring case", "segmentation fault", ignore_case=True),
]


@functools.cache
def place():
    """A temporary folder that is gone when this program is."""
    made = Path(tempfile.mkdtemp(prefix="weir-bench-"))
    atexit.register(shutil.rmtree, made, ignore_errors=True)
    # Ends as sys.exit does: what was mounted and made is taken away.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return made


@functools.cache
def files(kind, count, most):
    """A folder of `count` files (small: of 1 KiB up to `most` bytes; large, gzipped: of `most`)."""
    folder = place() / f"{kind}-{count}-{most}"
    say(f"  making {count:,} {kind} files")
    program = OUT / "scan_files"
    if not program.exists():
        raise Failed(f"{program} is not set up")
    done = subprocess.run(
        [program, kind, folder, str(count), str(most)], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise Failed(done.stderr.strip()[-300:])
    return folder


class SlowFiles:
    """A mounted file system whose every operation takes LATENCY_MS. What it saw is in seen at the end."""

    def __init__(self, count):
        self.count, self.seen = count, {}

    def __enter__(self):
        program = OUT / "slowfs"
        if not program.exists():
            raise Failed(f"{program} is not set up")
        self.folder = Path(tempfile.mkdtemp(prefix="slow-", dir=place()))
        self.process = subprocess.Popen(
            [program, self.folder, str(self.count), str(LATENCY_MS * 1000)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(100):
            if self.is_mounted():
                return self
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        why = self.end()[1]
        raise Failed(f"cannot mount a file system: {why.strip()[-300:]}")

    def is_mounted(self):
        """Without an operation on it, which would count."""
        return f" {self.folder} " in Path("/proc/self/mounts").read_text(encoding="utf-8")

    def end(self):
        self.process.terminate()
        try:
            return self.process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.communicate()
        finally:
            if self.is_mounted():
                subprocess.run(["fusermount3", "-u", "-z", self.folder], check=False)
            self.folder.rmdir()

    def __exit__(self, *_):
        output, errors = self.end()
        try:
            self.seen = json.loads(output)
        except json.JSONDecodeError:
            raise Failed(f"the slow file system failed: {errors.strip()[-300:]}") from None


def drop_caches():
    """What was read from disk comes from disk again."""
    try:
        subprocess.run(["sync"], check=True)
        Path("/proc/sys/vm/drop_caches").write_text("3\n", encoding="utf-8")
    except OSError as error:
        raise Failed(f"caches cannot be dropped: {error}") from error


def read_from_disk():
    """MiB that this machine has read, ever."""
    for line in Path("/proc/vmstat").read_text(encoding="utf-8").splitlines():
        if line.startswith("pgpgin "):
            return int(line.split()[1]) / 1024
    raise Failed("/proc/vmstat has no pgpgin")
