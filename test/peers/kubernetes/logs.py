"""What containers wrote, line by line with the time and the stream, in files as containerd writes them."""

import asyncio
import datetime
import os

_LINE_LIMIT = 16 * 1024


def _timestamp():
    now = datetime.datetime.now(datetime.timezone.utc)
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f") + "000Z"


class LogFile:
    """The log of one container. Readers may follow it while it grows."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = open(path, "ab", buffering=0)
        os.chmod(path, 0o600)
        self._partial = {"stdout": b"", "stderr": b""}
        self._readers = set()
        self.closed = False

    def write(self, stream, data):
        """Takes what came from a stream: whole lines are written, the rest waits for its end."""
        lines = (self._partial[stream] + data).split(b"\n")
        self._partial[stream] = lines.pop()
        out = [self._line(stream, b"F", line) for line in lines]
        while len(self._partial[stream]) > _LINE_LIMIT:
            out.append(self._line(stream, b"P", self._partial[stream][:_LINE_LIMIT]))
            self._partial[stream] = self._partial[stream][_LINE_LIMIT:]
        if out:
            self._file.write(b"".join(out))
            self._wake()

    @staticmethod
    def _line(stream, tag, text):
        return b"%s %s %s %s\n" % (_timestamp().encode(), stream.encode(), tag, text)

    def _wake(self):
        for reader in self._readers:
            reader.set()

    def close(self):
        for stream, rest in self._partial.items():
            if rest:
                self._file.write(self._line(stream, b"P", rest))
        self._partial = {"stdout": b"", "stderr": b""}
        self._file.close()
        self.closed = True
        self._wake()

    def read(self):
        """What is there: [(time, text)], where a text that is a whole line has its newline."""
        return list(_parse(self.path.read_bytes()))

    def tail(self, lines=80, size=2048):
        """The last lines, for the termination message."""
        text = b"".join(t for _, t in self.read())
        kept = text[-size:].splitlines(keepends=True)[-lines:]
        return b"".join(kept).decode("utf-8", "replace")

    async def follow(self, position=0):
        """Yields what is there and what comes, until the container ended."""
        event = asyncio.Event()
        self._readers.add(event)
        try:
            with open(self.path, "rb") as file:
                file.seek(position)
                while True:
                    event.clear()
                    over = self.closed
                    for line in _parse(file.read()):
                        yield line
                    if over:
                        return
                    await event.wait()
        finally:
            self._readers.discard(event)


def _parse(data):
    for line in data.split(b"\n"):
        if not line:
            continue
        time, _, tag, text = line.split(b" ", 3)
        yield time, text + (b"\n" if tag == b"F" else b"")


def select(entries, query, now=None):
    """The lines that a request asks for by sinceTime, sinceSeconds, tailLines."""
    since = None
    if query.get("sinceTime"):
        since = datetime.datetime.fromisoformat(query["sinceTime"].replace("Z", "+00:00"))
    elif query.get("sinceSeconds"):
        since = (now or datetime.datetime.now(datetime.timezone.utc)) - datetime.timedelta(seconds=int(query["sinceSeconds"]))
    if since is not None:
        entries = [entry for entry in entries if datetime.datetime.fromisoformat(entry[0].decode()[:26] + "+00:00") >= since]
    if query.get("tailLines"):
        count = int(query["tailLines"])
        entries = entries[-count:] if count else []
    return entries


def shown(entry, timestamps):
    return entry[0] + b" " + entry[1] if timestamps else entry[1]
