#include "csrc/outqueue.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static gv_chunk *new_chunk(gv_loop *loop, size_t len) {
    size_t capacity = GV_CHUNK_SIZE - sizeof(gv_chunk);
    gv_chunk *chunk;

    if (len <= capacity && loop->chunks != NULL) {
        chunk = loop->chunks;
        loop->chunks = chunk->next;
        loop->chunk_count--;
    } else {
        if (len > capacity)
            capacity = len;
        chunk = malloc(sizeof(gv_chunk) + capacity);
        if (chunk == NULL)
            return NULL;
    }
    chunk->next = NULL;
    chunk->bytes = chunk->data;
    chunk->at = 0;
    chunk->len = 0;
    chunk->capacity = capacity;
    chunk->fd = -1;
    return chunk;
}

static void free_chunk(gv_loop *loop, gv_chunk *chunk) {
    if (chunk->capacity != GV_CHUNK_SIZE - sizeof(gv_chunk) ||
        loop->chunk_count == GV_CHUNKS_KEPT) {
        free(chunk);
        return;
    }
    chunk->next = loop->chunks;
    loop->chunks = chunk;
    loop->chunk_count++;
}

static void append(gv_outqueue *queue, gv_chunk *chunk) {
    if (queue->last == NULL)
        queue->first = chunk;
    else
        queue->last->next = chunk;
    queue->last = chunk;
}

int gv_outqueue_copy(gv_loop *loop, gv_outqueue *queue, const char *data, size_t len) {
    gv_chunk *chunk = queue->last;

    /* A write that is under way knows where its bytes end, so that more may
     * follow them in the same chunk. */
    if (chunk == NULL || chunk->len + len > chunk->capacity) {
        chunk = new_chunk(loop, len);
        if (chunk == NULL)
            return UV_ENOMEM;
        append(queue, chunk);
    }
    memcpy(chunk->data + chunk->len, data, len);
    chunk->len += len;
    queue->size += len;
    return 0;
}

int gv_outqueue_pass(gv_loop *loop, gv_outqueue *queue, const char *data, size_t len, int fd) {
    gv_chunk *chunk = new_chunk(loop, len);

    if (chunk == NULL)
        return UV_ENOMEM;
    chunk->fd = fd;
    memcpy(chunk->data, data, len);
    chunk->len = len;
    append(queue, chunk);
    queue->size += len;
    return 0;
}

int gv_outqueue_lend(gv_outqueue *queue, const char *data, size_t len) {
    gv_chunk *chunk = malloc(sizeof(gv_chunk));

    if (chunk == NULL)
        return UV_ENOMEM;
    chunk->next = NULL;
    chunk->bytes = data;
    chunk->at = 0;
    chunk->len = len;
    chunk->capacity = 0;
    chunk->fd = -1;
    append(queue, chunk);
    queue->size += len;
    return 0;
}

unsigned gv_outqueue_gather(const gv_outqueue *queue, uv_buf_t *bufs, unsigned max) {
    const gv_chunk *chunk;
    unsigned count = 0;

    for (chunk = queue->first; chunk != NULL && count < max; chunk = chunk->next) {
        if (count > 0 && chunk->fd >= 0)
            break;
        bufs[count].base = (char *) (uintptr_t) (chunk->bytes + chunk->at); /* only read */
        bufs[count].len = chunk->len - chunk->at; /* uv_buf_init() would cut it to 32 bits */
        count++;
    }
    return count;
}

int64_t gv_outqueue_consume(gv_loop *loop, gv_outqueue *queue, size_t len) {
    int64_t lent = 0;

    queue->size -= len;
    while (len > 0) {
        gv_chunk *chunk = queue->first;
        size_t left = chunk->len - chunk->at;

        if (chunk->fd >= 0) {
            close(chunk->fd);
            chunk->fd = -1;
        }
        if (len < left) {
            chunk->at += len;
            break;
        }
        len -= left;
        lent += chunk->capacity == 0;
        queue->first = chunk->next;
        if (queue->first == NULL)
            queue->last = NULL;
        free_chunk(loop, chunk);
    }
    return lent;
}

int64_t gv_outqueue_clear(gv_loop *loop, gv_outqueue *queue) {
    return gv_outqueue_consume(loop, queue, queue->size);
}

void gv_outqueue_abandon(const gv_outqueue *queue) {
    const gv_chunk *chunk;

    for (chunk = queue->first; chunk != NULL; chunk = chunk->next)
        if (chunk->fd >= 0)
            close(chunk->fd);
}

void gv_chunks_free(gv_loop *loop) {
    gv_chunk *next;

    for (; loop->chunks != NULL; loop->chunks = next) {
        next = loop->chunks->next;
        free(loop->chunks);
    }
    loop->chunk_count = 0;
}
