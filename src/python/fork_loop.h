/* The server of forks of a process of Python (base/fork_server.h, of_command): the flow's module is imported once per
   run, and each task is a fork of that process. For ctypes, like task_api.h. */
#ifndef METAFLOW_FORK_LOOP_H
#define METAFLOW_FORK_LOOP_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Says that the server is ready, and serves requests until the scheduler ends. Returns only in a forked process, which
   is a child of the scheduler: then `texts` has `words` arguments and `variables` variables, each terminated by a zero
   byte. The caller holds the lock of the interpreter and has called PyOS_BeforeFork(). `socket`: see fork_protocol.h.
 */
void metaflow_serve_forks(int socket, const char** texts, size_t* size, size_t* words, size_t* variables);

#ifdef __cplusplus
}
#endif
#endif
