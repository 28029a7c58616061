/* Arrays of numpy as the engine stores them (docs/format.md, "Payloads"): the elements are in the payload as they are
   in memory, at a multiple of 64 bytes. So they are stored without a copy, and read from a mapped file. */
#ifndef METAFLOW_ARRAY_API_H
#define METAFLOW_ARRAY_API_H

#include "python/task_api.h"

#ifdef __cplusplus
extern "C" {
#endif

#define METAFLOW_MAX_DIMENSIONS 64 /* numpy's */

typedef struct metaflow_array {
  char type;        /* as numpy.dtype.kind: b, i, u, f or c; in the byte order of the machine */
  int column_major; /* 1: the first index varies fastest */
  size_t item_size; /* bytes of an element */
  size_t dimensions;
  size_t shape[METAFLOW_MAX_DIMENSIONS];
  metaflow_bytes elements; /* not null */
} metaflow_array;

/* Whether a payload is such an array: 1, and its description; or 0. `elements` refer to the payload. */
int metaflow_read_array(const metaflow_bytes* payload, metaflow_array* into);
/* Whether this process has written to a mapped file: 1, also if it is not known or `memory` is not a mapped file; or 0.
 */
int metaflow_is_written(const metaflow_bytes* memory);
/* What is before and behind the elements in the payload, for metaflow_task_save(). Valid until the next call. Returns
   0, or -1 for an error. */
int metaflow_write_array(const metaflow_array* array, metaflow_bytes* before, metaflow_bytes* behind);

#ifdef __cplusplus
}
#endif
#endif
