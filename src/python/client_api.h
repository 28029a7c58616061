/* Reading runs from Python: a small C interface to the store and its metadata, for ctypes
   (python/metaflow_cpp/client/reader.py). It returns what is recorded; the objects of the client are made in Python.

   A pathspec is that of Metaflow: "Flow", "Flow/run", "Flow/run/step", "Flow/run/step/task". One with an invalid name
   is that of an object that does not exist. Times are microseconds since 1970. `attempt`: -1 for the last finished one.

   Functions that return a pointer return null for an error, those that return a number a negative one. The text of the
   error is in metaflow_error() of this thread. Texts are UTF-8, and valid until the next call with the same client. A
   client serves one thread at a time. */
#ifndef METAFLOW_CLIENT_API_H
#define METAFLOW_CLIENT_API_H

#include "python/task_api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct metaflow_client metaflow_client;
typedef struct metaflow_content metaflow_content;

/* Selects the metadata. `provider`: "local", with the directory .metaflow `place`, or "service", with the URL `place`.
   Empty: as the command line finds them. Sends no request. */
metaflow_client* metaflow_client_open(const char* provider, const char* place);
void metaflow_client_close(metaflow_client* client);
/* As JSON: {"provider": "local", "place": "/home/ada/.metaflow", "user": "ada"}. */
const char* metaflow_client_facts(metaflow_client* client);

/* An object, as JSON: {"created", "tags", "system_tags"}. Steps and tasks have the tags of their run, flows none.
   "null": it does not exist. */
const char* metaflow_client_object(metaflow_client* client, const char* pathspec);
/* The runs of a flow, the steps of a run, the tasks of a step, or the flows (an empty pathspec), as JSON: {"tags",
   "system_tags", "rows": [[id, created]]}. The rows of runs have their tags: [id, created, tags, system_tags]. */
const char* metaflow_client_children(metaflow_client* client, const char* pathspec);
/* The artifacts of a task, as JSON: {"tags", "system_tags", "rows": [[name, created, key, datastore, location,
   attempt]]}. `name`: only this one; empty: all. */
const char* metaflow_client_artifacts(metaflow_client* client, const char* pathspec, int attempt, const char* name);
/* The metadata of a task, of all attempts, as JSON: [[name, value, type, attempt, created]]. An attempt of -1: unknown.
 */
const char* metaflow_client_fields(metaflow_client* client, const char* pathspec);
/* Changes the user tags of a run; `add` and `remove` are lists in JSON. Returns its user tags, as JSON. */
const char* metaflow_client_edit_tags(metaflow_client* client, const char* pathspec, const char* add,
                                      const char* remove);

/* The payload of an artifact by its row; `is_file`: the blob of a code package instead. The bytes are valid until
   metaflow_content_free(), which any thread may call. */
metaflow_content* metaflow_client_value(metaflow_client* client, const char* flow, const char* key,
                                        const char* datastore, const char* location, int is_file, metaflow_bytes* into);
/* The bytes at a URL: "s3://bucket/name", "local:///path" or a path. */
metaflow_content* metaflow_client_file(metaflow_client* client, const char* url, metaflow_bytes* into);
/* What metaflow_client_size() returns for the name of a file that a flow includes. */
#define METAFLOW_INCLUDED_FILE INT64_MAX
/* Bytes of the payload of an artifact. */
int64_t metaflow_client_size(metaflow_client* client, const char* pathspec, int attempt, const char* name,
                             const char* key, const char* datastore, const char* location);
/* A log of an attempt, in lines: the time in microseconds (empty: unknown), a blank, the text, a newline. `datastore`
   and `root`: its fields ds-type and ds-root. */
metaflow_content* metaflow_client_log(metaflow_client* client, const char* pathspec, int attempt, const char* datastore,
                                      const char* root, int is_error, metaflow_bytes* into);
/* Bytes of a log as it is stored. */
int64_t metaflow_client_log_size(metaflow_client* client, const char* pathspec, int attempt, const char* datastore,
                                 const char* root, int is_error);
void metaflow_content_free(metaflow_content* content);

#ifdef __cplusplus
}
#endif
#endif
