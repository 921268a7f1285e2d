#include "csrc/ring.h"

#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { PAGE = 4096 };

/* A bit for each kind, in the order of reporting; GV_TIMEOUT takes one for each
 * deadline, so that two deadlines of a handle are two records. */
static unsigned bit_of(gv_kind kind, int which) {
    if (kind == GV_TIMEOUT)
        return (unsigned) GV_TIMEOUT + (unsigned) which;
    if (kind == GV_CLOSED)
        return (unsigned) GV_TIMEOUT + GV_DEADLINES;
    return (unsigned) kind;
}

static int64_t word_of(const gv_source *source, gv_kind kind) {
    switch (kind) {
    case GV_CONNECTED:
    case GV_PAUSED:
    case GV_READY:
    case GV_REFUSED:
    case GV_TLS:
        return source->status;
    case GV_DONE:
    case GV_WRITTEN:
        return source->written;
    case GV_ERROR:
        return source->error;
    default:
        return 0;
    }
}

static void put_bit(gv_ring *ring, const gv_source *source, unsigned bit) {
    unsigned timeout = GV_TIMEOUT;

    if (bit < timeout)
        gv_ring_put(ring, source->id, (gv_kind) bit, word_of(source, (gv_kind) bit), 0);
    else if (bit < timeout + GV_DEADLINES)
        gv_ring_put(ring, source->id, GV_TIMEOUT, bit - timeout, 0);
    else
        gv_ring_put(ring, source->id, GV_CLOSED, 0, 0);
}

static void report(gv_ring *ring, gv_source *source, unsigned bit) {
    if (gv_ring_room(ring)) {
        put_bit(ring, source, bit);
        return;
    }
    if (source->bits == 0) { /* not in the FIFO yet */
        source->next = NULL;
        if (ring->last == NULL)
            ring->first = source;
        else
            ring->last->next = source;
        ring->last = source;
    }
    source->bits |= 1u << bit;
}

static void refill(gv_ring *ring) {
    while (ring->first != NULL && ring->count < ring->capacity) {
        gv_source *source = ring->first;
        unsigned bit = (unsigned) __builtin_ctz(source->bits);

        put_bit(ring, source, bit);
        source->bits &= ~(1u << bit);
        if (source->bits != 0)
            continue;
        ring->first = source->next;
        if (ring->first == NULL)
            ring->last = NULL;
    }
}

int gv_ring_init(gv_ring *ring, int64_t capacity, size_t arena_size) {
    memset(ring, 0, sizeof(*ring));
    arena_size -= arena_size % GV_ARENA_ALIGN;
    ring->records = malloc((size_t) capacity * GV_RECORD_WORDS * sizeof(int64_t));
    ring->arena = aligned_alloc(PAGE, (arena_size + PAGE - 1) / PAGE * PAGE);
    if (ring->records == NULL || ring->arena == NULL) {
        gv_ring_free(ring);
        return UV_ENOMEM;
    }
    ring->capacity = capacity;
    ring->arena_size = arena_size;
    return 0;
}

void gv_ring_free(gv_ring *ring) {
    free(ring->records);
    free(ring->arena);
    memset(ring, 0, sizeof(*ring));
}

void gv_ring_put_data(gv_ring *ring, int64_t id, size_t len) {
    gv_ring_put(ring, id, GV_DATA, (int64_t) ring->arena_used, (int64_t) len);
    ring->arena_used += (len + GV_ARENA_ALIGN - 1) / GV_ARENA_ALIGN * GV_ARENA_ALIGN;
}

bool gv_ring_room(const gv_ring *ring) {
    /* With someone in the FIFO, a new record would overtake. */
    return ring->count < ring->capacity && ring->first == NULL;
}

void gv_ring_put(gv_ring *ring, int64_t id, gv_kind kind, int64_t a, int64_t b) {
    int64_t *record = ring->records + ring->count * GV_RECORD_WORDS;

    record[0] = id;
    record[1] = kind;
    record[2] = a;
    record[3] = b;
    ring->count++;
}

void gv_ring_report(gv_ring *ring, gv_source *source, gv_kind kind) {
    report(ring, source, bit_of(kind, 0));
}

void gv_ring_report_tls(gv_ring *ring, gv_source *source, int events) {
    bool waits = (source->bits & 1u << GV_TLS) != 0;

    source->status = waits ? source->status | events : events;
    report(ring, source, bit_of(GV_TLS, 0));
}

void gv_ring_report_timeout(gv_ring *ring, gv_source *source, int which) {
    report(ring, source, bit_of(GV_TIMEOUT, which));
}

void gv_ring_advance(gv_ring *ring, int64_t taken) {
    size_t left = (size_t) (ring->count - taken);

    if (left > 0 && taken > 0)
        memmove(ring->records, ring->records + taken * GV_RECORD_WORDS,
                left * GV_RECORD_WORDS * sizeof(int64_t));
    ring->count = (int64_t) left;
    if (left == 0)
        ring->arena_used = 0;
    refill(ring);
}
