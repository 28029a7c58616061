"""Lists the tasks of the last run, and reads an artifact of some of them, through a client; prints seconds of processor time.

usage: list_tasks.py metaflow|metaflow_cpp FLOW ARTIFACT COUNT
"""
import importlib
import sys
import time

module, flow, artifact, count = sys.argv[1:]
begin = time.process_time()
client = importlib.import_module(module)
client.namespace(None)
step = client.Flow(flow).latest_run["work"]
print("import", time.process_time() - begin)
begin = time.process_time()
tasks = [task for task in step if task.created_at and task.pathspec]
print("list", (time.process_time() - begin) / len(tasks))
begin = time.process_time()
for task in tasks[: int(count)]:
    task[artifact].data
print("read", (time.process_time() - begin) / int(count))
print("tasks", len(tasks))
