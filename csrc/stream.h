/* Streams: what TCP connections, Unix sockets and terminals have in common.
 *
 * Nothing is sent or started while Python runs; a change marks the handle dirty,
 * and the next poll sends each dirty handle's queue and starts or stops its
 * reading. Only a large write with nothing before it is tried at once. */
#ifndef GV_STREAM_H
#define GV_STREAM_H

#include "csrc/address.h"
#include "csrc/outqueue.h"

/* cdef: begin */

/* Queue a copy of `len` bytes. Returns how many bytes are queued now, or a negative
 * code (UV_ENOTCONN; UV_ESHUTDOWN after gv_stream_write_eof() or close; else what
 * broke the stream). */
int64_t gv_stream_write(gv_loop *loop, int64_t id, const char *data, int64_t len);

/* The same without the copy: if the result is positive, the memory must stay as it
 * is until GV_WRITTEN counts it. */
int64_t gv_stream_lend(gv_loop *loop, int64_t id, const char *data, int64_t len);

/* Say EOF behind what is queued; reading goes on. */
int gv_stream_write_eof(gv_loop *loop, int64_t id);

/* Return how many bytes are queued. */
int64_t gv_stream_pending(gv_loop *loop, int64_t id);

/* After a write returned more than `high`, GV_DRAIN follows once, when no more
 * than `low` is left. UV_EINVAL unless 0 <= low <= high. */
int gv_stream_watermarks(gv_loop *loop, int64_t id, int64_t high, int64_t low);

/* Both take effect with the next poll. Reading ends by itself with GV_EOF. */
int gv_stream_read_start(gv_loop *loop, int64_t id);
int gv_stream_read_stop(gv_loop *loop, int64_t id);

/* Let the next read go to `data` (lent until its GV_READ_INTO was taken, until
 * the handle is closed, or until the next call of this); NULL takes it back, but
 * not (UV_EALREADY) once it was filled. */
int gv_stream_read_into(gv_loop *loop, int64_t id, char *data, int64_t len);

/* Set one of the deadlines, in ms from now; -1 is off. When it comes, GV_TIMEOUT
 * says which, and it is off again. UV_EINVAL for a listener, which needs them. */
int gv_stream_deadline(gv_loop *loop, int64_t id, int which, int64_t timeout_ms);

/* Close behind what is queued, and TLS's goodbye. Returns how many bytes that is (the
 * goodbye counts as one); there is no limit on how long they may take but the deadlines. */
int64_t gv_stream_close(gv_loop *loop, int64_t id);

/* Close now, TCP with an RST. */
int gv_stream_abort(gv_loop *loop, int64_t id);

/* Listen with a bound handle, or an open one. Connections come as GV_ACCEPTED,
 * ready to use; who takes such a record owns the handle. When no descriptors or
 * memory are left (EMFILE ...) accepting pauses, and GV_PAUSED says so once until
 * all that wait could be taken again. */
int gv_stream_listen(gv_loop *loop, int64_t id, int backlog);

/* Accept, or do not: who connects then waits in the backlog. Connections that this
 * turn has accepted already still come. */
int gv_stream_accept(gv_loop *loop, int64_t id, int on);

/* Have the kernel drop every SYN that comes from now on, so that nobody can begin to
 * connect; who has begun still can be accepted. That is of the socket, also where
 * other processes have it. UV_ENOTSUP where there is no such thing. */
int gv_stream_refuse(gv_loop *loop, int64_t id);

/* Accept who waits in the backlog. Returns 0 if nobody did, and 1 if somebody may still:
 * poll, and call again. */
int gv_stream_accept_rest(gv_loop *loop, int64_t id);

/* Get the name of our end, or of the `peer`'s, which TCP knows until GV_CLOSED was
 * taken. */
int gv_stream_name(gv_loop *loop, int64_t id, int peer, gv_address *out);

/* cdef: end */

enum {
    GV_TRY_SIZE = 16384,   /* bytes from which a write is tried at once */
    GV_IOVS = 64,          /* what one system call sends at most */
    GV_ACCEPT_BATCH = 256, /* connections taken from one listener in one turn */
    GV_ACCEPT_PAUSE = 100  /* ms, once no descriptors are left */
};

typedef enum {
    GV_STREAM_NEW,
    GV_STREAM_CONNECTING,
    GV_STREAM_OPEN,
    GV_STREAM_LISTENING
} gv_stream_state;

typedef struct gv_passing gv_passing;
typedef struct gv_tls_layer gv_tls_layer;

typedef struct {
    gv_handle handle;
    gv_outqueue out;
    uv_write_t *write; /* what libuv is sending for us, or NULL */
    size_t write_size;
    uv_poll_t *listener;
    gv_passing *passing; /* see passing.h; NULL if it passes no descriptors */
    gv_tls_layer *tls;   /* see tls_stream.h; NULL if what is sent is what was written */
    char *into;          /* where the next read goes, or NULL: the arena */
    size_t into_size;
    bool into_filled; /* the last one was, since it was registered */
    size_t high;
    size_t low;
    uint64_t sent;  /* bytes, ever; without what libuv has sent of its write */
    uint64_t turn;  /* in which `left` holds */
    size_t left;    /* bytes that may be read in this turn */
    uint64_t epoch; /* in which it last had something */
    int error;      /* what broke the stream, or 0 */
    gv_stream_state state;
    bool want_read;
    bool reading;
    bool eof;
    bool above;  /* the high watermark, so that GV_DRAIN is due */
    bool untold; /* writing has failed, and what the peer said before was not taken yet */
    bool ending; /* write_eof was asked for */
    bool ended;
    bool closing;        /* as soon as the queue is empty */
    bool short_of;       /* descriptors or memory, and said so */
    bool full;           /* Python wants no more connections for now */
    gv_sockaddr_ip peer; /* of TCP; family 0 while unknown */
} gv_stream;

/* Make a stream that libuv does not know yet, with an id, or return NULL. */
gv_stream *gv_stream_new(gv_loop *loop, gv_type type);

/* Return the stream, or NULL and the code to return in `rc`. */
gv_stream *gv_stream_find(gv_loop *loop, int64_t id, int *rc);

/* The same for one that can be written to. */
gv_stream *gv_stream_find_writable(gv_loop *loop, int64_t id, int *rc);

/* It is connected now. */
void gv_stream_opened(gv_stream *stream);

/* It can no more be used: report it once, and remember `error`. */
void gv_stream_break(gv_stream *stream, int error);

/* Writing has failed with `error`, which is the end; but what the peer has said before
 * may still lie in the socket, and says more: put that before. */
void gv_stream_read_rest(gv_stream *stream, int error);

/* Someone found no room in the last turn, and this one had something since
 * everybody was served: it waits, or the same ones would come first for ever. */
bool gv_stream_has_had_its_turn(const gv_stream *stream);

/* There is no room for what it has. */
void gv_stream_refused(gv_stream *stream);

/* Say where the next read goes; false: not now, and the system will ask again. What
 * was read, UV_EOF or another code is for gv_stream_got(). */
bool gv_stream_room(gv_stream *stream, uv_buf_t *buf);
void gv_stream_got(gv_stream *stream, ssize_t nread);

/* The same for what Python is to read: where it goes, that it is there, and that it has
 * ended. */
bool gv_stream_place(gv_stream *stream, uv_buf_t *buf);
void gv_stream_placed(gv_stream *stream, size_t len);
void gv_stream_ended(gv_stream *stream);

/* How many bytes wait to be sent, in whatever form. */
size_t gv_stream_backlog(const gv_stream *stream);

/* So many pieces that were lent are done with. */
void gv_stream_returned(gv_stream *stream, int64_t lent);

/* The queue has more than before. Returns how many bytes. */
int64_t gv_stream_queued(gv_stream *stream);

/* Bytes were sent. */
void gv_stream_consumed(gv_stream *stream, size_t len);

/* What is queued starts to wait for the peer, or has moved on and waits again. */
void gv_stream_waits_to_write(gv_stream *stream);

/* Return how many bytes have left, ever. */
uint64_t gv_stream_sent(const gv_stream *stream);

/* Put it on the wheel for its nearest deadline. */
void gv_stream_arm(gv_stream *stream);

/* Have the nearest deadline counted from now, not from when libuv last looked. */
uint64_t gv_stream_now(gv_stream *stream);

/* Parts of it: sending (stream_write.c), reading (stream_read.c), and accepting
 * (listen.c). */
void gv_stream_send(gv_stream *stream);
void gv_stream_finish(gv_stream *stream);
void gv_stream_apply_reading(gv_stream *stream);
void gv_stream_resume_accepting(gv_stream *stream);

/* Make an accepted or given socket a stream of libuv's; see tcp.c and pipe.c.
 * On failure the fd is the caller's. */
int gv_tcp_adopt(gv_stream *stream, int fd);
int gv_pipe_adopt(gv_stream *stream, int fd);

/* Make an fd from outside the stream's. UV_EEXIST if a stream of the loop has it
 * already. On failure it is the caller's. */
int gv_stream_take(gv_stream *stream, int fd);

#endif
