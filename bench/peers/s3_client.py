"""Moves objects with a client of S3 in Python; prints the seconds of each call.

usage: s3_client.py metaflow|metaflow_cpp ROOT LARGE: 1,000 objects of 1 KiB below ROOT, up and down; then the object at the URL LARGE, down
"""
import importlib
import os
import sys
import time

module, root, large = sys.argv[1:]
S3 = importlib.import_module(module).S3
content = os.urandom(1024)
keys = [f"object-{number}" for number in range(1000)]
with S3(s3root=root) as s3:
    begin = time.monotonic()
    s3.put_many([(key, content) for key in keys])
    print("put_many", time.monotonic() - begin)
    begin = time.monotonic()
    found = s3.get_many(keys)
    print("get_many", time.monotonic() - begin)
    assert len(found) == 1000 and all(each.size == 1024 for each in found)
with S3() as s3:
    begin = time.monotonic()
    found = s3.get(large)
    print("get", time.monotonic() - begin)
    assert found.size == 1 << 30
