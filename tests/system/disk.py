"""A folder as a crash at any moment would have left it, made from the record that crash.c kept.

The model has files, each with its bytes as they are and as they were last brought to the disk, and
names, which lead to files. Folders are not modelled but for being there: one that was made stays.
"""

import collections
import pathlib
import shutil
import struct

OPS = ["create", "write", "truncate", "sync", "rename", "link", "unlink", "folder",
       "all"]
HEAD = struct.Struct("=IIIIq")

Event = collections.namedtuple("Event", ["op", "path", "to", "offset", "bytes"])


def read_record(path):
    """The events of a record."""
    data = pathlib.Path(path).read_bytes()
    events, at = [], 0
    while at < len(data):
        op, path_len, to_len, bytes_len, offset = HEAD.unpack_from(data, at)
        parts, at = [], at + HEAD.size
        for size in (path_len, to_len, bytes_len):
            parts.append(data[at:at + size])
            at += size
        assert at <= len(data), "the record's end is missing"
        events.append(Event(OPS[op], parts[0].decode(), parts[1].decode(), offset, parts[2]))
    return events


class File:
    def __init__(self, data=b""):
        self.now = bytearray(data)
        self.synced = bytes(data)


class Disk:
    def __init__(self, folder, before):
        """Begins with the files of before, by their names in the folder, all of it on the disk."""
        self.folder = pathlib.Path(folder)
        self.names = {f"{folder}/{name}": File(data) for name, data in before.items()}
        self.synced_names = dict(self.names)
        self.folders = {str(pathlib.PurePath(name).parent) for name in self.names}

    def apply(self, event, share=1.0):
        """share: how much of a write arrives."""
        getattr(self, "on_" + event.op)(event, share)

    def on_create(self, event, _share):
        self.names[event.path] = File()

    def on_write(self, event, share):
        data = event.bytes[:int(len(event.bytes) * share)]
        now = self.names[event.path].now
        if len(now) < event.offset:
            now.extend(bytes(event.offset - len(now)))
        now[event.offset:event.offset + len(data)] = data

    def on_truncate(self, event, _share):
        now = self.names[event.path].now
        if len(now) < event.offset:
            now.extend(bytes(event.offset - len(now)))
        del now[event.offset:]

    def on_sync(self, event, _share):
        file = self.names.get(event.path)
        if file:
            file.synced = bytes(file.now)
            return
        def is_here(name):
            return str(pathlib.PurePath(name).parent) == event.path
        here = {name: file for name, file in self.names.items() if is_here(name)}
        elsewhere = {name: file for name, file in self.synced_names.items() if not is_here(name)}
        self.synced_names = {**elsewhere, **here}

    def on_all(self, _event, _share):
        for file in self.names.values():
            file.synced = bytes(file.now)
        self.synced_names = dict(self.names)

    def on_rename(self, event, _share):
        self.names[event.to] = self.names.pop(event.path)

    def on_link(self, event, _share):
        self.names[event.to] = self.names[event.path]

    def on_unlink(self, event, _share):
        del self.names[event.path]

    def on_folder(self, event, _share):
        self.folders.add(event.path)

    def leave(self, lost_bytes=False, lost_names=False):
        """Makes the folder what it would be after a crash now: of the process, or of the machine,
        with what was not brought to the disk lost."""
        names = self.synced_names if lost_names else self.names
        shutil.rmtree(self.folder)
        self.folder.mkdir()
        for folder in sorted(self.folders):
            pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        for name, file in names.items():
            pathlib.Path(name).write_bytes(file.synced if lost_bytes else file.now)
