/* Objects in S3 from Python: a small C interface to S3Objects, for ctypes (python/metaflow_cpp/s3/native.py).

   Many operations go in one call: metaflow_s3_start(), metaflow_s3_wait() until it returns 1, metaflow_s3_results().
   Waiting in short pieces lets the interpreter handle signals. A client serves one thread at a time, and one process:
   a forked process opens its own.

   Functions that return a pointer return null for an error, those that return a number a negative one. The text of the
   error is in metaflow_error() of this thread. Texts are UTF-8, and valid until the next call with the same client. */
#ifndef METAFLOW_S3_API_H
#define METAFLOW_S3_API_H

#include "python/task_api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct metaflow_s3 metaflow_s3;

/* Reads the settings. Sends no request. */
metaflow_s3* metaflow_s3_open(void);
void metaflow_s3_close(metaflow_s3* s3);
/* As JSON: {"root": "s3://bucket/metaflow/data", "encryption": "AES256", "directory": "."}: METAFLOW_DATATOOLS_S3ROOT,
   METAFLOW_S3_SERVER_SIDE_ENCRYPTION, METAFLOW_TEMPDIR or their defaults. Empty: not set. */
const char* metaflow_s3_settings(metaflow_s3* s3);

/* Starts operations, a list in JSON. Each is one of
     ["get", bucket, key, file, begin, size, last]: the bytes go to a file that is created or replaced. `size`: at most
       so many bytes, 0 for all. `last`: if not 0, so many bytes at the end instead.
     ["head", bucket, key]
     ["list", bucket, prefix, all]: `all`: true for all keys, false for those without another '/' behind the prefix
     ["put", bucket, key, file, content_type, encryption, user_attributes, overwrite]: an empty `file`: the content is
       in `contents`, at the index of the operation. The memory stays valid until the operations have ended.
   `count`: the number of `contents`. */
int metaflow_s3_start(metaflow_s3* s3, const char* operations, const metaflow_bytes* contents, size_t count);
/* Continues for at most `milliseconds`. Returns 1 if all operations have ended, else 0. After an error, none is left.
 */
int metaflow_s3_wait(metaflow_s3* s3, int milliseconds);
/* The results in the order of the operations, a list in JSON. Each is one of
     ["ok", size, content_type, encryption, user_attributes, modified, begin, length] of get and head: `size`: of the
       whole object; `modified`: seconds since 1970; `length`: bytes that were written to the file
     ["ok", [[key, size], ...]] of list: the size of a prefix is null
     ["ok"] of put; ["exists"], if it did not overwrite the object
     [status, text]: a failure. The status is "missing", "denied", "invalid_range" or "disk_full". */
const char* metaflow_s3_results(metaflow_s3* s3);
/* Ends the operations. */
void metaflow_s3_cancel(metaflow_s3* s3);

#ifdef __cplusplus
}
#endif
#endif
