/* HTTP/1.1 as an engine: bytes in, events out. It knows nothing of sockets, loops or Python.
 *
 * http-parser takes heads apart. It lets through much that must not pass, so each
 * line is looked at before (http_line.c), and what a head means behind it
 * (http_head.c); bodies are decoded here (http_body.c). The rules are those of
 * RFC 9112, at their strictest. However the bytes are cut into pieces, the events
 * are the same, but for where GV_HTTP_DATA is cut. */
#ifndef GV_HTTP_H
#define GV_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

typedef enum { GV_HTTP_REQUESTS, GV_HTTP_RESPONSES } gv_http_type;

/* In bytes, but for `fields`; -1 is no limit, which only `body` may have. */
typedef struct {
    int64_t line;             /* the first line of a head */
    int64_t head;             /* a whole head, and the trailers beside it */
    int64_t fields;           /* how many a head may have, trailers included */
    int64_t chunk_line;       /* the line before a chunk */
    int64_t chunk_extensions; /* all of a message's */
    int64_t body;
} gv_http_limits;

enum {
    GV_HTTP_EVENTS = 256, /* in a batch */
    GV_HTTP_WORDS = 5     /* int64, of an event: (kind, a, b, c, d) */
};

/* What an event says. */
typedef enum {
    GV_HTTP_HEAD,     /* a, b: where in the text, and how long; c: gv_http_flags; d: length
                         of the body, or -1 if only its end will tell */
    GV_HTTP_DATA,     /* a, b: where in the bytes that were fed, and how many */
    GV_HTTP_TRAILERS, /* a, b: where in the text, and how long */
    GV_HTTP_END,      /* of the message */
    GV_HTTP_UPGRADED, /* what was not consumed is no HTTP, and whatever comes */
    GV_HTTP_ERROR     /* a: the status to answer, b: a gv_http_why; nothing follows */
} gv_http_kind;

/* Of a head. */
typedef enum {
    GV_HTTP_MINOR = 1,      /* HTTP/1.1, not 1.0 */
    GV_HTTP_KEEP_ALIVE = 2, /* the sender allows another message on the connection */
    GV_HTTP_CHUNKED = 4,
    GV_HTTP_UPGRADE = 8,   /* asks for, or agrees to, another protocol */
    GV_HTTP_CONTINUE = 16, /* Expect: 100-continue */
    GV_HTTP_CONNECT = 32,
    GV_HTTP_HEAD_METHOD = 64 /* of a request: HEAD */
} gv_http_flags;

/* What a response answers, which says whether it has a body. */
typedef enum { GV_HTTP_TO_ANY, GV_HTTP_TO_HEAD, GV_HTTP_TO_CONNECT } gv_http_request;

typedef struct gv_http gv_http;
typedef struct gv_http_batch gv_http_batch;

/* Make what events are put into; any number of engines may take turns with it.
 * Heads are at most `text_size` bytes. Returns NULL without memory. Undo with
 * gv_http_batch_free(). */
gv_http_batch *gv_http_batch_new(int64_t text_size);
void gv_http_batch_free(gv_http_batch *batch);

/* Both stay where they are; lent. Text is parts, each with a NUL behind it: of a
 * request the method, the target, then names and values; of a response the status
 * and the reason, then the same; of trailers names and values. */
const int64_t *gv_http_batch_events(const gv_http_batch *batch);
const char *gv_http_batch_text(const gv_http_batch *batch);

/* Make an engine, or return NULL without memory. Undo with gv_http_free(). */
gv_http *gv_http_new(int type, const gv_http_limits *limits);
void gv_http_free(gv_http *http);

/* Take bytes, at most up to the end of the `messages`th message, and at most as
 * many as the batch has room for. `consumed` is how many that were. Returns how
 * many events there are, or a negative code (UV_EINVAL: arguments that make no
 * sense). After GV_HTTP_ERROR and GV_HTTP_UPGRADED nothing is consumed any more. */
int64_t gv_http_feed(gv_http *http, gv_http_batch *batch, const char *data, int64_t len,
                     int messages, int64_t *consumed);

/* No more bytes will come. GV_HTTP_END if that is how the message ends,
 * GV_HTTP_ERROR if it was cut off, nothing between messages. */
int64_t gv_http_eof(gv_http *http, gv_http_batch *batch);

/* Say what the next response answers. Not in the middle of one (UV_EBUSY). */
int gv_http_answer_to(gv_http *http, int request);

/* Return whether a message has begun and not ended. */
int gv_http_busy(const gv_http *http);

/* Return how long the method is, if that is GET or HEAD, and the line, without its CRLF, is
 * one that any engine would take: for a path, in HTTP/1.1. Otherwise 0. */
int64_t gv_http_plain_line(const char *line, int64_t len);

/* Return in words what a gv_http_why means. */
const char *gv_http_error_text(int why);

/* cdef: end */

#endif
