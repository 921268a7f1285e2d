/* The out-queue: what a stream still has to send, in order.
 *
 * Small writes are copied, one behind the other, into chunks that the loop keeps
 * for the next time. The memory of a large one may be lent instead. */
#ifndef GV_OUTQUEUE_H
#define GV_OUTQUEUE_H

#include "csrc/loop.h"

typedef struct gv_chunk gv_chunk;
struct gv_chunk {
    gv_chunk *next;
    const char *bytes; /* data[], or what was lent */
    size_t at;         /* so much of it has been sent */
    size_t len;
    size_t capacity; /* of data[]; 0 if lent */
    int fd;          /* that goes with the first byte, or -1; the chunk owns it */
    char data[];
};

typedef struct {
    gv_chunk *first;
    gv_chunk *last;
    size_t size; /* bytes not yet sent */
} gv_outqueue;

/* Copy `len` bytes behind what is there. Returns 0 or UV_ENOMEM. */
int gv_outqueue_copy(gv_loop *loop, gv_outqueue *queue, const char *data, size_t len);

/* Queue memory that stays the caller's: it is lent until consume or clear has
 * counted it. Returns 0 or UV_ENOMEM. */
int gv_outqueue_lend(gv_outqueue *queue, const char *data, size_t len);

/* Copy at least one byte, with `fd` on the first, which is given: it is closed once
 * that was sent, or was cleared. Returns 0 or UV_ENOMEM, and leaves fd alone. */
int gv_outqueue_pass(gv_loop *loop, gv_outqueue *queue, const char *data, size_t len, int fd);

/* Fill `bufs` from the front; returns how many. Only the first can have an fd. */
unsigned gv_outqueue_gather(const gv_outqueue *queue, uv_buf_t *bufs, unsigned max);

/* Forget the first `len` bytes. Returns how many lent pieces are done with. */
int64_t gv_outqueue_consume(gv_loop *loop, gv_outqueue *queue, size_t len);

/* Forget everything. Returns how many lent pieces there were. */
int64_t gv_outqueue_clear(gv_loop *loop, gv_outqueue *queue);

/* In a forked child: close our copies of what was to be sent. */
void gv_outqueue_abandon(const gv_outqueue *queue);

/* Free the chunks that the loop has kept. */
void gv_chunks_free(gv_loop *loop);

#endif
