/* What the parts of the HTTP engine share; see http.h. */
#ifndef GV_HTTP_PARTS_H
#define GV_HTTP_PARTS_H

#include "csrc/http.h"

#include <http_parser.h>

enum {
    GV_HTTP_BLANK = 4,  /* empty lines before a request, which some send behind a body */
    GV_HTTP_DIGITS = 16 /* of a chunk's size */
};

/* Why a message is refused: name, status to answer, words. */
#define GV_HTTP_WHYS(X)                                                                            \
    X(OCTET, 400, "a control character, or a CR or LF alone")                                      \
    X(LINE, 400, "the request line is malformed")                                                  \
    X(BLANK_LINES, 400, "too many empty lines before the request")                                 \
    X(VERSION, 505, "the HTTP version is not supported")                                           \
    X(METHOD, 501, "the method is unknown")                                                        \
    X(TARGET, 400, "the request target is malformed")                                              \
    X(STATUS_LINE, 502, "the status line is malformed")                                            \
    X(FIELD, 400, "a field line is malformed")                                                     \
    X(FOLDED, 400, "a field is folded")                                                            \
    X(HOST, 400, "the Host is missing, malformed, or there are several")                           \
    X(LENGTH, 400, "the Content-Length is malformed, or there are several")                        \
    X(CODING, 400, "the Transfer-Encoding is malformed")                                           \
    X(CODING_UNKNOWN, 501, "the transfer coding is not supported")                                 \
    X(FRAMING, 400, "Content-Length beside Transfer-Encoding")                                     \
    X(BODY_UNEXPECTED, 400, "the method allows no body")                                           \
    X(LINE_TOO_LONG, 414, "the request line is too long")                                          \
    X(HEAD_TOO_LARGE, 431, "the head is too large")                                                \
    X(TOO_MANY_FIELDS, 431, "there are too many fields")                                           \
    X(BODY_TOO_LARGE, 413, "the body is too large")                                                \
    X(CHUNK, 400, "a chunk is malformed")                                                          \
    X(CHUNK_LINE_TOO_LONG, 400, "a chunk's line or extensions are too long")                       \
    X(PARSER, 400, "http-parser refuses the head")                                                 \
    X(CUT_OFF, 400, "the connection was closed in the middle of a message")                        \
    X(MEMORY, 500, "out of memory")

typedef enum {
#define X(name, status, words) GV_WHY_##name,
    GV_HTTP_WHYS(X)
#undef X
        GV_WHY_NONE
} gv_http_why;

typedef enum {
    GV_HTTP_IDLE,  /* nothing of the next message is there */
    GV_HTTP_FIRST, /* in its first line */
    GV_HTTP_FIELDS,
    GV_HTTP_LENGTH, /* in a body of known length */
    GV_HTTP_CHUNK_LINE,
    GV_HTTP_CHUNK_DATA,
    GV_HTTP_CHUNK_END, /* the CRLF behind it */
    GV_HTTP_TRAILER,
    GV_HTTP_TO_EOF, /* in a body that the end of the connection ends */
    GV_HTTP_OVER    /* after an error, or not HTTP any more */
} gv_http_state;

struct gv_http_batch {
    int64_t events[GV_HTTP_EVENTS * GV_HTTP_WORDS];
    int64_t count;
    size_t used; /* of the text */
    size_t size;
    char text[];
};

struct gv_http {
    gv_http_limits limits;
    uint8_t type;
    uint8_t state;
    uint8_t request; /* of a response: what it answers */
    uint8_t blank;   /* empty lines before the message */
    uint8_t part;    /* of a chunk's line, see http_body.c; of its end: 1 behind the CR */
    uint8_t digits;  /* of a chunk's size */
    bool last;       /* no other message may follow this one */
    bool stop;       /* what follows may be of another protocol: Python has to say */
    /* The lines so far, as they came; the last one may be incomplete. */
    char *head;
    size_t head_size;
    size_t head_used;
    size_t line;       /* where the line begins that is coming in */
    size_t raw;        /* bytes of the head, and of the trailers, that came */
    int64_t fields;    /* of them */
    uint64_t left;     /* of the body or the chunk */
    uint64_t body;     /* bytes of a chunked body so far */
    size_t chunk_line; /* bytes of it */
    size_t extensions; /* bytes of them, of the message */
};

/* What came of a part: the bytes it consumed, or why not. */
typedef struct {
    size_t used;
    gv_http_why why;
} gv_http_step;

/* http_line.c: take bytes up to the end of a line, CRLF included. When it is
 * complete, `done`, and [http->line, http->head_used) is the line without CRLF. */
gv_http_step gv_http_take_line(gv_http *http, const char *data, size_t len, bool *done);

/* Look at a complete first line, or a field. */
gv_http_why gv_http_check_first(const gv_http *http, const char *line, size_t len);
gv_http_why gv_http_check_field(const char *line, size_t len);

/* http_head.c: put the text and the event of the head that is complete, and say how
 * the body goes on (state and left). */
gv_http_why gv_http_finish_head(gv_http *http, gv_http_batch *batch);

/* http_trailers.c: put the text and the events of the end of a chunked body. */
gv_http_why gv_http_finish_trailers(gv_http *http, gv_http_batch *batch);

/* http_target.c */
gv_http_why gv_http_check_target(const char *method, size_t method_len, const char *target,
                                 size_t len);
bool gv_http_host_is_good(const char *host, size_t len);

/* http_body.c: take what one event, or one line, is made of. */
gv_http_step gv_http_take_body(gv_http *http, gv_http_batch *batch, const char *data, size_t len,
                               size_t at);

/* Put an event; only while there is room. */
void gv_http_put(gv_http_batch *batch, gv_http_kind kind, int64_t a, int64_t b, int64_t c,
                 int64_t d);

/* Put text, with a NUL behind it. There is room: it is never longer than the head. */
void gv_http_put_text(gv_http_batch *batch, const char *text, size_t len);

/* The message is complete. */
void gv_http_end(gv_http *http, gv_http_batch *batch);

#endif
