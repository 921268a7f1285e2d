/* Watching a descriptor that somebody else reads and writes. */
#ifndef GV_POLL_H
#define GV_POLL_H

#include "csrc/loop.h"

/* cdef: begin */

enum { GV_POLL_READABLE = 1, GV_POLL_WRITABLE = 2 };

/* Watch what `fd` stands for, which stays the caller's: we do it through a copy of
 * ours (dup), since libuv bears neither two who watch one fd nor one that is closed
 * early. Returns an id or a negative code (UV_EPERM: files cannot be watched). */
int64_t gv_poll_new(gv_loop *loop, int fd);

/* Report GV_READY in each turn in which one of `events` is there; 0 stops. */
int gv_poll_start(gv_loop *loop, int64_t id, int events);

/* cdef: end */

#endif
