/* The ring: where C leaves records for Python, and the arena for read bytes.
 *
 * Nothing here calls libuv. Data and accepts are only taken in while the ring
 * has room. Every other completion must not be refused, so it sets a bit on its
 * source and, if the ring is full, the source waits in a FIFO: however many
 * completions come, no memory is needed to remember them. */
#ifndef GV_RING_H
#define GV_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* cdef: begin */

/* What a record says; each is four int64: (handle, kind, a, b). Where several
 * completions of one handle had to wait, they come in this order. */
typedef enum {
    GV_DATA,      /* a: where in the arena, b: how many bytes */
    GV_READ_INTO, /* a: how many bytes lie in the registered buffer, which is free again */
    GV_ACCEPTED,  /* a: the new handle */
    GV_CONNECTED, /* a: 0 or a UV_E* code */
    GV_PAUSED,    /* a: the UV_E* code for which accepting pauses; it resumes by itself */
    GV_READY,     /* a: UV_READABLE | UV_WRITABLE, or a UV_E* code */
    GV_REFUSED,   /* a: the UV_E* code for which datagrams were not sent, or come back */
    GV_TLS,       /* a: gv_tls_event bits, of what has happened to a stream's TLS */
    GV_DONE,      /* a: the result of a request, or a UV_E* code */
    GV_WRITTEN,   /* a: how many lent writes are done with, ever; their memory is free */
    GV_DRAIN,     /* the out-queue has fallen to the low watermark */
    GV_EOF,       /* the peer will send no more */
    GV_ERROR,     /* a: the UV_E* code that broke the stream */
    GV_TIMEOUT,   /* a: which deadline, a gv_deadline_kind */
    GV_CLOSED     /* the last record of a handle */
} gv_kind;

/* cdef: end */

enum {
    GV_RECORD_WORDS = 4,
    GV_DEADLINES = 3,
    /* The kernel copies into the arena with "rep movsb", which takes twice as long
     * where malloc() would have put it: 16 bytes behind the start of a page. */
    GV_ARENA_ALIGN = 64
};

/* Who reports. The owner (a handle) embeds it; it may wait in the FIFO. */
typedef struct gv_source gv_source;
struct gv_source {
    gv_source *next;
    int64_t id;
    int64_t written;
    int32_t status; /* of GV_CONNECTED, GV_PAUSED, GV_READY, GV_REFUSED or GV_TLS: never two */
    int32_t error;  /* of GV_ERROR */
    uint32_t bits;  /* kinds that wait; GV_TIMEOUT has GV_DEADLINES bits, see ring.c */
};

typedef struct {
    int64_t *records;
    int64_t capacity;
    int64_t count;
    char *arena;
    size_t arena_size;
    size_t arena_used;
    gv_source *first; /* the FIFO of sources that found no room */
    gv_source *last;
} gv_ring;

/* What is less than GV_ARENA_ALIGN at the arena's end goes unused. Returns 0 or
 * UV_ENOMEM. Undo with gv_ring_free(). */
int gv_ring_init(gv_ring *ring, int64_t capacity, size_t arena_size);

void gv_ring_free(gv_ring *ring);

/* Whether a record that may be refused (data, an accept) can be put now. */
bool gv_ring_room(const gv_ring *ring);

/* Put one record. Only after gv_ring_room() said yes. */
void gv_ring_put(gv_ring *ring, int64_t id, gv_kind kind, int64_t a, int64_t b);

/* Put a GV_DATA record for `len` bytes that lie at the arena's end, and move it. */
void gv_ring_put_data(gv_ring *ring, int64_t id, size_t len);

/* Report a completion that must not be lost: now, or once there is room.
 * `source` must stay until its GV_CLOSED was taken. */
void gv_ring_report(gv_ring *ring, gv_source *source, gv_kind kind);

/* The same for GV_TIMEOUT, which also says which deadline it was. */
void gv_ring_report_timeout(gv_ring *ring, gv_source *source, int which);

/* The same for GV_TLS, whose events add up while they wait. */
void gv_ring_report_tls(gv_ring *ring, gv_source *source, int events);

/* Forget the first `taken` records and fill up from the FIFO. The arena is
 * empty again once no record is left. */
void gv_ring_advance(gv_ring *ring, int64_t taken);

#endif
