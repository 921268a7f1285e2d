/* Starting a child process, and nothing more: who waits for it is not our affair. */
#ifndef GV_PROCESS_H
#define GV_PROCESS_H

#include <stdint.h>

/* cdef: begin */

typedef struct {
    const char *file;       /* looked for in the PATH of the child's environment */
    char *const *arguments; /* the name first, NULL last */
    char *const *variables; /* NAME=value, NULL last; NULL: those of the parent */
    const char *folder;     /* where it starts; NULL: where the parent is */
    const int *fds;         /* its descriptors from 0 on, by the parent's; -1: /dev/null or none */
    int fd_count;
    int64_t user; /* ids; -1: the parent's */
    int64_t group;
    int detached; /* true: in a session of its own */
} gv_process;

/* Start it, from any thread. Returns its pid, to be waited for, or a negative code; then
 * nothing is left of it. The handler of SIGCHLD stays who it was, and misses nothing. */
int64_t gv_process_spawn(const gv_process *process);

/* cdef: end */

#endif
