/* Unix sockets and pipes over streams: how one comes to be connected or bound.
 *
 * libuv 1.44 cuts names to what fits and knows no abstract ones, so the sockets
 * are ours until they are connected or bound. */
#ifndef GV_PIPE_H
#define GV_PIPE_H

#include "csrc/stream.h"

/* cdef: begin */

/* Make a pipe handle. Returns its id or a negative code. Give it up with
 * gv_stream_close() or gv_stream_abort(). */
int64_t gv_pipe_new(gv_loop *loop);

/* Bind to a name of `len` bytes; one that starts with a NUL is abstract.
 * UV_ENAMETOOLONG if it does not fit. Removing the name is the caller's. */
int gv_pipe_bind(gv_loop *loop, int64_t id, const char *name, int64_t len);

/* Connect to a name; GV_CONNECTED follows. UV_EAGAIN means that the listener's
 * backlog is full: try again later. */
int gv_pipe_connect(gv_loop *loop, int64_t id, const char *name, int64_t len);

/* Take over any open fd that can be waited for: a pipe, a FIFO, a stream socket,
 * a terminal. It stays the caller's if this fails. */
int gv_pipe_open(gv_loop *loop, int64_t id, int fd);

/* cdef: end */

/* Make the stream libuv's, without an fd. If that fails, it is gone. */
int gv_pipe_init(gv_stream *stream);

#endif
