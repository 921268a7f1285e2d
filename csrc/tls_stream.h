/* TLS below a stream: records go between the socket and an engine without leaving C.
 * This alone knows both.
 *
 *     Python --- put ---> plain --- engine ---> the out-queue ---> socket
 *     Python <-- arena --- engine <--- the loop's scratch <------- socket */
#ifndef GV_TLS_STREAM_H
#define GV_TLS_STREAM_H

#include "csrc/stream.h"
#include "csrc/tls.h"

/* cdef: begin */

/* What a GV_TLS record says; bits. */
typedef enum {
    GV_TLS_SECURED = 1, /* the handshake is done */
    GV_TLS_ASKED = 2,   /* the engine says GV_TLS_HELLO; gv_stream_tls_continue() goes on */
    GV_TLS_FAILED = 4,  /* the engine says GV_TLS_ERROR; nothing more comes */
    GV_TLS_TICKETS = 8, /* gv_tls_session() has a new session */
    GV_TLS_ENDED = 16   /* both have said close_notify: gv_stream_tls_stop() is possible */
} gv_tls_event;

/* Put `tls` below the stream: lent until gv_stream_tls_stop(), or GV_CLOSED was taken. What
 * was written before leaves as it is. The handshake begins with the next poll. Closing
 * waits for the peer's close_notify, `linger_ms` at most. */
int gv_stream_tls_start(gv_loop *loop, int64_t id, gv_tls *tls, int64_t linger_ms);

/* What GV_TLS_ASKED wanted to know has been said to the engine. */
int gv_stream_tls_continue(gv_loop *loop, int64_t id);

/* Send close_notify behind what is queued; writes are refused from now on. */
int gv_stream_tls_shutdown(gv_loop *loop, int64_t id);

/* Take the engine away: from now on everything is as it was without. Not before both have
 * said close_notify and what is queued was encrypted (UV_EBUSY), unless TLS has failed. */
int gv_stream_tls_stop(gv_loop *loop, int64_t id);

/* cdef: end */

enum { GV_TLS_SCRATCH = GV_READ_FAIR, GV_TLS_AHEAD = 65536 };

struct gv_tls_layer {
    gv_tls *tls;
    gv_outqueue plain; /* what is to be encrypted */
    uint32_t linger;   /* ms */
    bool secured;
    bool asked;     /* Python has to say how to go on */
    bool failed;    /* there is no TLS any more */
    bool shutdown;  /* close_notify is to follow what is queued */
    bool said;      /* ... and has been sent */
    bool lingering; /* nothing is left but to wait for the peer */
    bool warm;      /* the engine keeps its memory; see tls_warm.h */
    uint8_t reads;  /* since it did the last time, up to GV_TLS_WARM_READS */
    bool told;      /* that there are tickets */
};

/* For the stream. */

/* How many bytes are not encrypted yet. */
size_t gv_tls_stream_pending(const gv_stream *stream);

/* Take what Python writes; what is large and has nothing before it leaves at once. */
int64_t gv_tls_stream_put(gv_stream *stream, const char *data, size_t len, bool lend);

/* Before a poll: begin, or go on with what the engine has read already. */
void gv_tls_stream_flush(gv_stream *stream);

/* Fill the empty out-queue. */
void gv_tls_stream_encrypt(gv_stream *stream);

/* Say where records are to be read to; false: the engine still has some. */
bool gv_tls_stream_room(gv_stream *stream, uv_buf_t *buf);

/* They were, or the peer's end was. */
void gv_tls_stream_got(gv_stream *stream, size_t len);
void gv_tls_stream_eof(gv_stream *stream);

/* Close behind what is queued; false: without a close_notify. Then, when the queue is
 * empty: has everything been said, or is there nothing but the peer's to wait for? */
bool gv_tls_stream_close(gv_stream *stream);
bool gv_tls_stream_may_go(gv_stream *stream);
bool gv_tls_stream_lingers(const gv_stream *stream);

/* The stream is closed. */
void gv_tls_stream_drop(gv_stream *stream);

#endif
