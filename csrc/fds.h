/* Descriptors: which are ours, and whether one can be watched.
 *
 * libuv leaves both to whoever calls it, and ends the process where that was
 * wrong: epoll must not refuse what it is told to watch. */
#ifndef GV_FDS_H
#define GV_FDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

/* Open once more what `fd` stands for, non-blocking, so that O_NONBLOCK is not also
 * set for the others that have it: a terminal, and on Linux a pipe. Returns the
 * descriptor, the caller's, or a negative code (UV_ENOTSUP: anything else). */
int gv_fd_reopen(int fd);

/* cdef: end */

/* The descriptors that streams of a loop own. */
typedef struct {
    uint64_t *owned; /* a bit for each */
    size_t words;
} gv_fds;

/* Note that a stream owns `fd`. Without memory for the note, nobody will know. */
void gv_fds_claim(gv_fds *fds, int fd);

void gv_fds_release(gv_fds *fds, int fd);

bool gv_fds_owned(const gv_fds *fds, int fd);

void gv_fds_free(gv_fds *fds);

/* The end of a pseudo-terminal that stands for its user? */
bool gv_fd_is_master(int fd);

/* Open /dev/null in the place of standard streams that are closed: libuv never closes
 * what has their numbers, or ends the process over it. */
void gv_fds_keep_standard(void);

/* Return 0 if the loop's `backend` will watch `fd`, else a negative code: UV_EBADF
 * if it was closed, UV_EPERM if it is a file by now. */
int gv_fd_try(int backend, int fd);

#endif
