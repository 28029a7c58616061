"""Writes the seeds of the corpus: pickles as Python makes them, and samples of the other formats.

usage: make_corpus.py DIRECTORY

Run it with numpy 1 and with numpy 2: what numpy pickles is named after its version, all else is the same with both. Files that
fuzzing found have names that begin with "found"; they are not touched."""

import collections
import datetime
import gzip
import json
import pathlib
import pickle
import struct
import sys

import numpy
from metaflow.exception import MetaflowExceptionWrapper
from metaflow.tuple_util import ForeachFrame


def laughs(levels):
    value = ["ha"] * 10
    for _ in range(levels):
        value = [value] * 10
    return value


def endless():
    inside = [1]
    inside.append(inside)
    table = {"inside": inside}
    table["self"] = table
    inside.append((inside, table))
    return inside


def nested(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


class Own:
    def __init__(self):
        self.x = 1


Pair = collections.namedtuple("Pair", "first second")
SHARED = [1.5, "shared"]
FAILED = MetaflowExceptionWrapper(ValueError("wrong"))

VALUES = {
    "scalars": [None, True, False, 0, 255, 256, 65536, -1, 2**31, -(2**31), 0.5, -0.0, float("inf"), float("nan"), 1j],
    "big_ints": [2**63 - 1, -(2**63), 2**64 - 1, 2**64, -(2**200), 2**2100],
    "texts": ["", "plain", "zero\0", "日本語 🎉", "\ud800", "'\"\\\n", "x" * 300],
    "bytes": [b"", bytes(range(256)), bytearray(b"array")],
    "ints": list(range(-3, 40)),
    "floats": [i / 8 for i in range(30)],
    "mixed": [1, 2.5, "three", None, [4], (5,), {6}, {"7": 7}],
    "batches": list(range(250)) * 5,
    "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
    "sets": [set(), {1, 2}, frozenset({"x"}), {frozenset({1})}],
    "dicts": {"a": 1, 2: [3], (4, "b"): {"c": None}, 1.5: True, None: 0},
    "dict_classes": [collections.OrderedDict(a=1, b=2), collections.defaultdict(list, x=[1]), collections.Counter("aab")],
    "times": [
        datetime.datetime(2026, 11, 22, 12, 26, 36, 522123, tzinfo=datetime.timezone.utc),
        datetime.datetime(1, 1, 1),
        datetime.datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=datetime.timezone(datetime.timedelta(hours=-9.5))),
        datetime.date(1969, 7, 20),
        datetime.timedelta(days=-1, microseconds=1),
        datetime.timedelta.max,
    ],
    "paths": [pathlib.PurePosixPath("/data/raw.bin"), pathlib.PurePosixPath("."), pathlib.PurePosixPath("a/b")],
    "shared": [SHARED, SHARED, {"again": SHARED}],
    "endless": endless(),
    "laughs": laughs(8),
    "nested": nested(150),
    "frames": [ForeachFrame("start", "alphas", 3, 1, "0.5")],
    "exception": FAILED,
    "refused_ellipsis": ...,
    "refused_namedtuple": Pair(1, 2),
    "refused_object": Own(),
    "refused_time_of_day": datetime.time(12),
}

GRID = numpy.arange(12.0).reshape(3, 4)
ARRAYS = {
    "f8": GRID,
    "column_major": numpy.asfortranarray(GRID),
    "transposed": numpy.arange(24, dtype="i4").reshape(2, 3, 4).transpose(1, 0, 2),
    "strided": GRID[::2, ::-1],
    "big_endian": GRID.astype(">f8"),
    "integers": [numpy.arange(3, dtype=t) for t in ("i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")],
    "f2_f4_c8_c16_b": [numpy.array([0, 1.5, -2]).astype(t) for t in ("f2", "f4", "c8", "c16", "?")],
    "texts": [numpy.array(["a", "日本", ""]), numpy.array([b"xy", b""])],
    "dates": [numpy.array(["2026-11-22T12:00"], dtype="M8[ns]"), numpy.array([5, -5], dtype="m8[10us]")],
    "empty": [numpy.zeros((0,)), numpy.zeros((3, 0, 2)), numpy.array(5.0)],
    "scalars": [numpy.float64(0.1), numpy.float32(0.1), numpy.int16(-3), numpy.bool_(True), numpy.complex64(1j),
                numpy.str_("text"), numpy.str_(""), numpy.bytes_(b"bytes"), numpy.datetime64("2026-11-22", "D")],
    "shared": [GRID, GRID],
    "refused_objects": numpy.array([1, "a", None], dtype=object),
    "refused_records": numpy.zeros(2, dtype=[("x", "f8"), ("y", "i4")]),
    "refused_longdouble": numpy.zeros(1, dtype="g"),
}

DATA_JSON = {
    "datastore": "local", "version": "1.0", "attempt": 0, "python_version": "3.11",
    "objects": {"result": "0" * 40, "name": "a" * 40},
    "info": {"result": {"size": 12, "type": "<class 'float'>", "encoding": "pickle-v4"}, "name": {"size": 9}},
    "cpp": {"ok": False, "next": ["join"], "splits": 4, "failure": "it threw", "items": [["alphas", "1" * 40, 123, "2" * 40]]},
}
SELF = {"flow_id": "Flow", "run_number": "1", "step_name": "start", "task_id": "2", "user_name": "me", "tags": ["a", "b"],
        "system_tags": ["user:me"], "ts_epoch": 1795366132157.65}

TEXTS = {
    "description": [
        '{"version": 1, "name": "F", "file": "f.py", "command": ["python3", "f.py"], "steps": ['
        '{"name": "start", "transition": "foreach", "targets": ["work"], "variable": "xs"}, {"name": "work", "transition": "linear", "targets": ["join"], '
        '"decorators": [{"name": "retry", "attributes": {"times": 2}}]}, {"name": "join", "join": true, "transition": "linear", "targets": ["end"]}, '
        '{"name": "end", "transition": "none"}]}\n',
        '{"version": 1, "name": "F", "command": ["f.py"], "steps": [{"name": "a", "transition": "choose", "targets": ["a", "b"], "cases": ["x", "y"], '
        '"variable": "v", "start": true, "annotations": "[{\\"name\\": \\"s\\", \\"attributes\\": {}}]"}, {"name": "b", "transition": "none", "end": true}]}\n',
        '{"version": 1, "name": "F", "command": ["f.py"], "steps": [], "parameters": [{"name": "n", "option": "n", "type": "integer", "required": false, '
        '"default": "1", "value": {"type": "int", "offset": 0, "size": 6}}], "configs": [{"name": "c", "option": "c", "help": "", '
        '"value": {"type": "dict", "offset": 2, "size": 4}}], "constants": [{"name": "k", "class": "str", "value": {"type": "str", "offset": 0, "size": 6}}]}\nPICKLE',
        '{"version": 1, "name": "F", "command": ["f.py"], "steps": [], "decorators": "[{\\"name\\": \\"d\\", \\"attributes\\": {}}]", "elsewhere": {"command": ["python3"], "directory": "/", '
        '"script": "f.py", "package": "/p", "library": "/l", "image": "i", "configs": {"type": "dict", "offset": 0, "size": 2}}}\n{}',
    ],
    "log": [
        "[MFLOG|0|2026-11-22T12:26:36.522123Z|runtime|1795366132157650]text\n[!MFLOG|0|2026-11-22T12:26:36.5Z|task|1]kept\nplain\n",
        "[MFLOG|0|2026-11-22T12:26:36.522123Z|runtime\n[MFLOG|0|x|y|z]\n[MFLOG|0|]\n\n[MFLOG|1|2026-11-22T12:26:36.522123Z|a|b]c",
    ],
    "data_json": [json.dumps(DATA_JSON), json.dumps({**DATA_JSON, "version": "2.0"}), json.dumps({"objects": {}, "info": {}}),
                  json.dumps({**DATA_JSON, "cpp": {"next": [], "splits": 1e300, "place": [1e99], "iteration": -1.5}}), json.dumps({**DATA_JSON, "attempt": 1e300})],
    "metadata": [
        json.dumps(SELF),
        json.dumps({"field_name": "attempt-done", "type": "attempt-done", "value": "0", "tags": ["attempt_id:0"], "ts_epoch": 1}),
        json.dumps({"field_name": "foreach-stack", "value": [["start", "x", 3, 0]], "tags": [], "ts_epoch": 1e300}),
        json.dumps({"name": "x", "sha": "0" * 40, "type": "metaflow.artifact", "content_type": "gzip+pickle-v4",
                    "ds_type": "local", "location": ":root:/x", "ts_epoch": 5}),
    ],
    "journal": [
        '{"e":"run","t":100,"version":1,"command":"resume","origin":"16","host":"h","pid":4711,"max_workers":8,"namespace":"user:me","with":["retry"],"tags":["a"]}\n'
        '{"e":"expect","t":101,"step":"work","n":2}\n{"e":"clone","t":103,"task":"start/1","from":"16/start/9"}\n'
        '{"e":"start","t":110,"task":"work/2","n":0,"where":"pid 5","in":"17/start/1","i":3,"split":"17/start/1"}\n'
        '{"e":"end","t":120,"task":"work/2","n":0,"how":"done","mem":1000,"cpu":0.250000,"rd":7,"wr":8}\n'
        '{"e":"over","t":130,"how":"failed","why":"Step work failed."}\n',
        '{"e":"start","t":110,"task":"work/2","n":1,"where":"","fallback":true}\n{"e":"end","t":1,"task":"work/2","n":1,"how":"stopped","mem":-1,"cpu":1e400,"cause":"x"}\n{"e":"sta',
        '\n[]\n{"e":1}\n{"e":"over","t":"x"}\nnull\n{"e":"expect","t":1e300,"step":5,"n":-2}\n',
    ],
    "lease": [
        '{"user": "me", "host": "h", "boot": "b", "pid_space": "pid:[1]", "pid": 1, "pid_began": 5, "run": "17", "since": 1, "renewed": 9000000000000000, "token": "t", "released": false}',
        '{"user": "me", "host": "h", "boot": "b", "pid_space": "", "pid": -1, "pid_began": 5, "run": "17", "since": -9223372036854775808, "renewed": 9223372036854775807, "token": "t", "released": false}',
        '{"user": "me", "host": "h", "boot": "b", "pid_space": "", "pid": 1e300, "pid_began": 1e99, "run": "17", "since": 1, "renewed": 1, "token": "t", "released": false}',
        "{}", "",
    ],
    "exit_report": [
        '{"version": 1, "stage": "step", "committed": false, "exited": false, "exit_code": 0, "signal": 9, "timed_out": false, "stopped_by": 15, "oom_kills": 1, '
        '"cause": "x", "mem": 1000, "cpu": 0.5, "rd": 1, "wr": 2, "began": 1795366132157650, "ended": 1795366132157651}',
        '{"stage": "commit", "committed": true, "exited": true, "exit_code": 1e300, "signal": -1}', '{"stage": "never"}', "[]",
    ],
    "settings": ['{"METAFLOW_DEFAULT_DATASTORE": "local", "METAFLOW_X": 1, "METAFLOW_Y": null, "METAFLOW_Z": ["a"]}', "[]"],
    "decorator": [
        "resources:cpu=4,memory=8000", "resources", "resources:gpu=1, cpu=2.5", 'environment:vars={"A": "1", "B": "x,y=z"}',
        'environment:vars={\\"A\\": \\"1\\"}', "resources:cpu=", "unknown:x=1", ":", "resources:disk=null",
    ],
    "parameter": ["5", "+5", "-0x1", " 18446744073709551615 ", "1e-300", "nan", "true", "NO", "1,2,3", "a;b", "[1, 2]", '{"a": 1}',
                  '{"low": 1, "more": [0.5]}', "/data/raw.bin", "null"],
    "command_line": ["run\n--text\nx\n--max-workers=4\n--needed\ny", "--quiet\n--with\nresources:cpu=4\nshow\n--no\na\nb\n--\n--yes",
                     "tag\nx", "tag\nrun\n--tag\na\n--tag=b\n--needed=", "--metadata\nlocal\nrum", "show\n--ye"],
    "xml": [
        '<?xml version="1.0" encoding="UTF-8"?>\n<ListBucketResult xmlns="http://s3.amazonaws.com/doc/"><Name>b</Name><EncodingType>url</EncodingType>'
        "<Contents><Key>a+b%2F&amp;&#65;&#x1F600;</Key><Size>12</Size></Contents><CommonPrefixes><Prefix>p/</Prefix></CommonPrefixes><IsTruncated>false</IsTruncated></ListBucketResult>",
        "<Error><Code>NoSuchKey</Code><Message><![CDATA[<x>]]></Message><!-- --></Error>", "<a:b c='>' d=\"'\"/>",
    ],
    "aws_config": [
        "[default]\nregion = eu-west-1\ns3 =\n  endpoint_url = http://x # y\n[profile  a b]\nrole_arn=r\n[sso-session 'x y']\n; z\n= v\n[", "x = y\n[\n[]\na\n b=c",
    ],
    "header": ["120", "Sun, 06 Nov 1994 08:49:37 GMT", "2026-11-23T01:18:43.5Z", "https://u:p@h:1/p?q#f", "bucket/a//b/", "%zz%4"],
    "kubeconfig": [
        "apiVersion: v1\nkind: Config\ncurrent-context: a\nclusters:\n- name: c\n  cluster: {server: 'https://x:6443/', certificate-authority-data: Q0E=}\n"
        "contexts:\n- {name: a, context: {cluster: c, user: u, namespace: n}}\nusers:\n- name: u\n  user:\n    client-certificate-data: QQ==\n    client-key-data: |\n      QQ==\n",
        "current-context: a\nclusters: [{name: c, cluster: &c {server: http://x, insecure-skip-tls-verify: yes, proxy-url: 'socks5://p'}}, {name: d, cluster: *c}]\n"
        "contexts: [{name: a, context: {cluster: d, user: u}}, {name: b, context: {cluster: c, user: v}}]\n"
        "users: [{name: u, user: {as: x, as-groups: [g], as-user-extra: {k: [v]}, exec: {command: ./p, apiVersion: client.authentication.k8s.io/v1beta1,"
        " args: [a], env: [{name: A, value: b}], provideClusterInfo: true}}}, {name: v, user: {tokenFile: t, auth-provider: {name: gcp}}}]",
        '{"current-context": "a", "contexts": [{"name": "a", "context": {"cluster": "c"}}], "clusters": [{"name": "c", "cluster": {"server": "https://x"}}]}',
    ],
    "kubernetes_answer": [
        '{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"c"},"items":[{"metadata":{"name":"a","labels":{"x/owner":"me"}}},{}]}',
        '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}\n{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"9"}}}\n',
        '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"t","expirationTimestamp":"2026-11-23T01:18:43Z"}}',
        '{"items":[{"items":[{}]},[{}],1],"items":{}}',
    ],
    "kubernetes_object": [
        '{"type":"MODIFIED","object":{"metadata":{"name":"p","resourceVersion":"9"},"spec":{"nodeName":"n"},"status":{"phase":"Pending","containerStatuses":'
        '[{"name":"task","state":{"waiting":{"reason":"PodInitializing"}}}],"initContainerStatuses":[{"name":"package","state":{"running":{}}}]}}}',
        '{"spec":{"nodeName":"n"},"status":{"phase":"Failed","containerStatuses":[{"name":"task","state":{"terminated":{"exitCode":137,"reason":"OOMKilled"}}}]}}',
        '{"status":{"phase":"Failed","reason":"Evicted","message":"The node was low on resource: memory.\\n","conditions":[{"type":"DisruptionTarget",'
        '"status":"True","reason":"TerminationByKubelet","message":"x"}]}}',
        '{"status":{"phase":"Pending","conditions":[{"type":"PodScheduled","status":"False","reason":"Unschedulable","message":"0/1 nodes"}]}}',
        '{"involvedObject":{"name":"mf-a-x"},"reason":"FailedMount","message":"MountVolume.SetUp failed for volume \\"v\\" : secret \\"s\\" not found",'
        '"lastTimestamp":"2026-11-23T01:18:43Z"}',
        '{"kind":"Status","status":"Failure","message":"no","reason":"Conflict","details":{"retryAfterSeconds":3},"code":409}',
        '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}}',
        "Too many requests\n",
    ],
    "batch_answer": [
        '{"jobId":"i","jobName":"mf-x","status":"RUNNABLE","statusReason":"MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - x","createdAt":1795434855871,'
        '"parameters":{"metaflow.run_id":"17"}}',
        '{"jobId":"i","status":"FAILED","statusReason":"Essential container in task exited","isTerminated":true,"container":{"exitCode":137,'
        '"reason":"OutOfMemoryError: x","logStreamName":"s"},"attempts":[{"container":{"exitCode":1}}]}',
        '{"jobId":"i","status":"FAILED","statusReason":"Host EC2 (instance i-1) terminated.","isCancelled":false,"attempts":[]}',
        '{"jobId":"i","status":"SUCCEEDED","container":{"exitCode":0},"stoppedAt":1}',
    ],
    "service_answer": [
        '[{"flow_id":"F","run_number":17,"user_name":"u","tags":["a"],"system_tags":["b"],"ts_epoch":1795434855871,"task_id":4}]',
        '[{"field_name":"attempt","value":"0","type":"attempt","tags":["attempt_id:0"],"ts_epoch":1.5},{"name":"x","sha":"0","attempt_id":1}]',
        '"{\\"wait_time_in_seconds\\": 10}"',
        '{"message":"{\\"err_msg\\":\\"no\\"}","detail":{"pgerror":"x"}}',
    ],
    "step_arguments": [
        "--quiet\n--datastore\nlocal\n--datastore-root\n/x/.metaflow\n--with\nresources:cpu=1\nstep\njoin\n--run-id\n17\n--task-id\n9\n"
        "--input-paths\n17/work/:1,2,3\n--split-path\n17/start/1\n--split-index\n3\n--retry-count\n1\n--tag\na\n--namespace\nuser:me",
        "step\nend\n--run-id=17\n--task-id=2\n--datastore-root=/x\n--input-paths=17/a/1,17/b/2\n--max-user-code-retries=3",
    ],
}


def elf():
    """A program of one segment: an interpreter, a library, a RUNPATH."""
    names = b"\0libc.so.6\0$ORIGIN/lib:/opt\0"
    interpreter = b"/lib64/ld-linux-x86-64.so.2\0"
    at = 64 + 3 * 56
    entries = [(5, at + len(interpreter)), (1, 1), (29, 11), (0, 0)]
    dynamic_at = at + len(interpreter) + len(names)
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = dynamic_at + len(dynamic)
    header = b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 3, 62, 1, 0, 64, 0, 0, 64, 56, 3, 64, 0, 0)
    segments = [(1, 0, size), (3, at, len(interpreter)), (2, dynamic_at, len(dynamic))]
    table = b"".join(struct.pack("<IIQQQQQQ", kind, 5, begin, begin, begin, length, length, 1) for kind, begin, length in segments)
    return header + table + interpreter + names + dynamic


def loader_cache(with_old):
    names = b"liba.so.1\0/lib/liba.so.1\0"
    new = b"glibc-ld.so.cache1.1" + struct.pack("<II20x", 1, len(names)) + struct.pack("<iIIIQ", 1, 72, 82, 0, 0) + names
    return (b"ld.so-1.7.0\0" + struct.pack("<I16x", 1) if with_old else b"") + new


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def main(directory):
    version = "numpy" + numpy.__version__.split(".")[0]
    kinds = [("", VALUES), (version + "-", ARRAYS)]
    for prefix, values in kinds:
        for name, value in values.items():
            for protocol in (2, 3, 4, 5):
                write(directory / "pickle" / f"{prefix}{name}-p{protocol}", pickle.dumps(value, protocol))
    for protocol in (0, 1):
        write(directory / "pickle" / f"refused_old-p{protocol}", pickle.dumps([1, "a", {2.5: None}], protocol))
    packed = gzip.compress(pickle.dumps(list(range(300)), 4), mtime=0)
    stored = gzip.compress(b"stored", 0, mtime=0)
    for name, content in (("packed", packed), ("stored", stored), ("cut_off", packed[:-9]), ("two_members", stored + packed)):
        write(directory / "gzip" / name, content)
    write(directory / "elf" / "program", elf())
    write(directory / "elf" / "cut_off", elf()[:-20])
    for with_old in (False, True):
        write(directory / "loader_cache" / f"{'old' if with_old else 'new'}", loader_cache(with_old))
    for reader, texts in TEXTS.items():
        for number, text in enumerate(texts):
            write(directory / reader / f"sample-{number}", text.encode())


main(pathlib.Path(sys.argv[1]))
