/* Being told what changes in the file system (uv_fs_event: inotify, kqueue, FSEvents). */
#ifndef GV_FS_EVENT_H
#define GV_FS_EVENT_H

#include "csrc/loop.h"

/* cdef: begin */

/* Before the name, in a GV_DATA: a byte of these. */
enum { GV_FS_RENAMED = 1, GV_FS_CHANGED = 2 };

/* Watch a file, or what is in a folder. Returns an id or a negative code. Each change comes as
 * GV_DATA; GV_REFUSED says that there was no room for some (UV_ENOBUFS), or why no more come. */
int64_t gv_fs_watch(gv_loop *loop, const char *path, int recursive);

/* cdef: end */

#endif
