/* The task side of a flow in Python: a small C interface to one task in this process, for ctypes
   (python/metaflow_cpp/_native.py). Plain C, so that one library serves every version of Python.

   A task: metaflow_flow_read(), metaflow_task_open(), metaflow_task_begin(); the step's function is called;
   metaflow_task_save() or _keep() per artifact; metaflow_task_finish(); metaflow_task_close(). If the step threw:
   metaflow_task_fail(), or _caught() if the facts have "catches", then the artifacts and finish.

   Functions that return int return a negative number for an error; those that return a pointer return null. The text
   of the error is in metaflow_error(). Not thread-safe. Texts are UTF-8; those that are returned, and the bytes of
   artifacts, are valid until the task is closed. */
#ifndef METAFLOW_TASK_API_H
#define METAFLOW_TASK_API_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define METAFLOW_TASK_API_VERSION 4
#define METAFLOW_LARGE_VALUE 65536

typedef struct metaflow_flow metaflow_flow;
typedef struct metaflow_task metaflow_task;

typedef struct metaflow_bytes {
  const void* data;
  size_t size;
} metaflow_bytes;

/* METAFLOW_TASK_API_VERSION of the library. */
int metaflow_api_version(void);
/* The message of the last error of this thread. */
const char* metaflow_error(void);

/* The answer of AWS Secrets Manager for a secret, as JSON (secret.h). `region`: empty: the configured one. `role`: a
   role to assume for it; empty: none. Valid until the next call. */
const char* metaflow_aws_secret(const char* id, const char* region, const char* role);

/* The flow of a description (described_flow.h). It is never freed. Forked processes share it. */
metaflow_flow* metaflow_flow_read(const char* description, size_t size);

/* Opens the task of the flow that the arguments of `step` name. `argv`: without the program. It reads the results of
   the inputs, but no artifacts. The task ends with its scheduler from here on. */
metaflow_task* metaflow_task_open(const metaflow_flow* flow, int argc, const char* const* argv);
void metaflow_task_close(metaflow_task* task);

/* Loads an item of the foreach for the step, from the payload of its range; if `index` is negative, the bytes are the
   item alone, as metaflow_task_split() got it. Returns the label of the item in `label`, whose room is `room` bytes
   with the terminating zero. Returns 0, or -1 for an error. */
typedef int (*metaflow_read_item)(const void* bytes, size_t size, int64_t index, char* label, size_t room);

/* Reads the item of the foreach. Returns 1 if the step is to be called; 0 if this attempt only records a failure. */
int metaflow_task_begin(metaflow_task* task, metaflow_read_item read_item);
/* As JSON: {"flow", "run", "step", "task", "attempt", "origin_run", "namespace", "user", "tags", "frames": [{"step",
   "variable", "count", "index", "label"}], "inputs": ["17/work/3"], "artifacts": ["x"], "time_limit": microseconds,
   "catches": true, "project", "branch", ...}. After metaflow_task_begin(). */
const char* metaflow_task_facts(metaflow_task* task);
/* The cores that the step of this process may use: its cpus, limited by the host. Without an open task: those of the
   host. */
int metaflow_task_cpus(void);
/* Of foreach `level`, 0 for the outermost: the item alone, as metaflow_task_split() got it, and 1; else the payload of
   the range, and 0. */
int metaflow_task_item(metaflow_task* task, size_t level, metaflow_bytes* into);

/* The payload of an artifact of the input. Returns 1, or 0 if the input does not have it. */
int metaflow_task_load(metaflow_task* task, const char* name, metaflow_bytes* into);
/* The payload of the artifact _graph_info. Returns 1, or 0 if the run does not have it. */
int metaflow_task_graph(metaflow_task* task, metaflow_bytes* into);
/* The payload of an artifact of one input of a join. Returns 1, or 0 if the input does not have it. */
int metaflow_task_load_input(metaflow_task* task, size_t input, const char* name, metaflow_bytes* into);
/* The payload of an array of numpy of at least METAFLOW_LARGE_VALUE bytes, as memory of the caller, which may write to
   it: of one input of a join, or of the input (`input` is negative). A file is mapped, and copied where it is written
   to. Returns 1, or 0 if the artifact does not exist or is something else. */
int metaflow_task_own(metaflow_task* task, int64_t input, const char* name, metaflow_bytes* into);
/* Gives back a payload, by its first byte: the caller refers to it no more. */
void metaflow_task_release(metaflow_task* task, const void* data);
/* Whether an input of a join has an artifact: 1 or 0. */
int metaflow_task_input_has(metaflow_task* task, size_t input, const char* name);
/* The first input of a join that has an artifact; -1: no input has; -2: inputs have different values. */
int64_t metaflow_task_merge(metaflow_task* task, const char* name);

/* Stores an artifact. Returns 1, or 0 if it has the bytes that were loaded. */
int metaflow_task_save(metaflow_task* task, const char* name, const metaflow_bytes* parts, size_t count,
                       const char* type);
/* Passes an artifact of the input on. */
int metaflow_task_keep(metaflow_task* task, const char* name);
/* Passes an artifact of one input of a join on. */
int metaflow_task_keep_input(metaflow_task* task, size_t input, const char* name);

/* The step threw, and `catch` stores the exception. */
int metaflow_task_caught(metaflow_task* task, const char* type, const char* message, const char* report);
/* The step threw: prints `report`, and forgets what was saved. */
int metaflow_task_fail(metaflow_task* task, const char* type, const char* message, const char* report);
/* The number of items of the step's foreach, and their labels. `items`: the items, each in an encoding that can be read
   alone, one after the other, with the size of each in `sizes`; null: tasks get the range. */
int metaflow_task_split(metaflow_task* task, size_t count, const char* const* labels, const char* items,
                        const size_t* sizes);
/* Writes the result. `chosen`: of a step that chooses, the index of the target; else -1. */
int metaflow_task_finish(metaflow_task* task, int chosen);

#ifdef __cplusplus
}
#endif
#endif
