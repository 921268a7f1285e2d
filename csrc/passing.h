/* Descriptors that travel with the data of a Unix socket (SCM_RIGHTS).
 *
 * libuv passes only handles of its own types, keeps what nobody asks for without a
 * limit, and 1.44 loses some. So a stream that passes sends and receives by itself,
 * with a uv_poll_t; the others know nothing of it. */
#ifndef GV_PASSING_H
#define GV_PASSING_H

#include "csrc/pipe.h"

/* cdef: begin */

/* Have descriptors travel with the data, both ways. Only for an open Unix socket that
 * was not read from or written to. While `limit` of them were not taken, nothing more
 * is read, and GV_PAUSED says so once until all were taken. */
int gv_pipe_allow_passing(gv_loop *loop, int64_t id, int limit);

/* Queue a copy of `len` bytes, with a duplicate of `fd` on the first of them. Returns
 * what gv_stream_write() does; if it is negative but not what broke the stream, such as
 * UV_EMFILE, nothing was queued. UV_ENOTSUP without gv_pipe_allow_passing(). */
int64_t gv_pipe_pass(gv_loop *loop, int64_t id, const char *data, int64_t len, int fd);

/* Take the descriptor that came first: the caller's from here on. It came with the
 * data of this batch or earlier. UV_EAGAIN if there is none. */
int gv_pipe_take_passed(gv_loop *loop, int64_t id);

/* Return how many came and were not taken. */
int gv_pipe_passed(gv_loop *loop, int64_t id);

/* cdef: end */

enum {
    GV_PASS_MOST = 512,  /* descriptors that one message can bring, on any system */
    GV_PASS_READS = 32,  /* messages read at once, as libuv does it */
    GV_PASS_RETRY_MS = 5 /* until the kernel is asked again that had no memory */
};

/* Send what the queue holds, until it is empty or the socket full. */
void gv_passing_send(gv_stream *stream);

/* Wait for what the stream waits for now. Returns 0 or a code. */
int gv_passing_watch(gv_stream *stream);

/* Say EOF. Returns 0 or a code. */
int gv_passing_end(const gv_stream *stream);

/* Before the stream is closed: close what was not taken, and let go of the poll. */
void gv_passing_close(gv_stream *stream);

/* In a forked child: close our copies of what came. */
void gv_passing_abandon(const gv_stream *stream);

#endif
