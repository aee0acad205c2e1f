"""A pseudo-terminal for the command, and what it shows there."""

import os
import pty
import select
import subprocess
import threading

from conftest import LIMIT


class Terminal:
    """A pseudo-terminal and everything that was written to it."""

    def __init__(self):
        self.ours, self.theirs = pty.openpty()
        self.seen = b""

    def read_until_closed(self, process):
        os.close(self.theirs)
        while True:
            ready, _, _ = select.select([self.ours], [], [], LIMIT)
            assert ready, "nothing more came"
            try:
                piece = os.read(self.ours, 65536)
            except OSError:  # EIO: the last one who had it open is gone
                break
            if not piece:
                break
            self.seen += piece
        os.close(self.ours)
        process.wait(timeout=LIMIT)
        return self.seen.decode()


def on_terminal(weir, processes, *args, also_rows=False, **options):
    """What a terminal shows of a run, and its rows elsewhere."""
    terminal = Terminal()
    process = weir.start(*args, stdin=terminal.theirs, stderr=terminal.theirs,
                         stdout=terminal.theirs if also_rows else subprocess.PIPE,
                         env={"TERM": "xterm-256color", "COLUMNS": "100", **options})
    processes.append(process)
    rows = []
    reader = None
    if not also_rows:
        reader = threading.Thread(target=lambda: rows.append(process.stdout.read()), daemon=True)
        reader.start()
    shown = terminal.read_until_closed(process)
    if reader:
        reader.join(LIMIT)
        process.stdout.close()
        process.stdout = None
    return process.returncode, shown, rows[0] if rows else b""
