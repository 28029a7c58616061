"""CloudWatch Logs: streams of events, made when the first event comes."""

import time

from .errors import ServiceError

_LINE_LIMIT = 16 * 1024
_PAGE_BYTES = 1 << 20
_EVENT_OVERHEAD = 26


class Stream:
    """What one container writes: a log for the runtime of containers."""

    def __init__(self, logs, group, name):
        self._logs = logs
        self.group = group
        self.name = name
        self._partial = {"stdout": b"", "stderr": b""}

    def write(self, stream, data):
        """Takes what came from stdout or stderr: whole lines become events."""
        lines = (self._partial[stream] + data).split(b"\n")
        self._partial[stream] = lines.pop()
        while len(self._partial[stream]) > _LINE_LIMIT:
            lines.append(self._partial[stream][:_LINE_LIMIT])
            self._partial[stream] = self._partial[stream][_LINE_LIMIT:]
        for line in lines:
            self._add(line)

    def _add(self, line):
        message = line.decode("utf-8", "replace").rstrip("\r")
        if message:  # the log driver drops empty lines
            self._logs.add(self.group, self.name, message)

    def close(self):
        for rest in self._partial.values():
            self._add(rest)
        self._partial = {"stdout": b"", "stderr": b""}


class Nowhere:
    """For containers whose log driver is another one, or broken."""

    def write(self, stream, data):
        pass

    def close(self):
        pass


class Logs:
    """All streams."""

    def __init__(self, page_size=10000):
        self._page_size = page_size
        self._groups = {}

    def stream(self, group, name):
        return Stream(self, group, name)

    @staticmethod
    def nowhere():
        return Nowhere()

    def add(self, group, name, message):
        now = int(time.time() * 1000)
        self._groups.setdefault(group, {}).setdefault(name, []).append({"timestamp": now, "message": message, "ingestionTime": now})

    def get_log_events(self, request):
        events = self._find(request)
        most = min(request.get("limit", self._page_size), self._page_size)
        begin, end = request.get("startTime", 0), request.get("endTime", 1 << 62)
        token = request.get("nextToken")
        if token is None:
            start = 0 if request.get("startFromHead") else max(0, len(events) - most)
            forward = True
        else:
            forward, start = self._position(token, len(events))
        page, size = [], 0
        if not forward:
            start = max(0, start - most)
        for event in events[start : start + most]:
            size += len(event["message"]) + _EVENT_OVERHEAD
            if size > _PAGE_BYTES:
                break
            page.append(event)
        after = start + len(page)
        shown = [event for event in page if begin <= event["timestamp"] < end]
        return {"events": shown, "nextForwardToken": f"f/{after:056d}/s", "nextBackwardToken": f"b/{start:056d}/s"}

    def _find(self, request):
        group = request.get("logGroupName") or request.get("logGroupIdentifier", "").rpartition(":log-group:")[2]
        if not group:
            raise ServiceError("InvalidParameterException", "Either logGroupName or logGroupIdentifier must be specified")
        if group not in self._groups:
            raise ServiceError("ResourceNotFoundException", "The specified log group does not exist.")
        if request["logStreamName"] not in self._groups[group]:
            raise ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")
        return self._groups[group][request["logStreamName"]]

    @staticmethod
    def _position(token, count):
        direction, _, rest = token.partition("/")
        number = rest.removesuffix("/s")
        if direction not in ("f", "b") or not number.isdigit() or int(number) > count:
            raise ServiceError("InvalidParameterException", "The specified nextToken is invalid.")
        return direction == "f", int(number)
