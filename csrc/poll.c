#include "csrc/poll.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    gv_handle handle;
    int fd; /* our copy */
} gv_poll;

static void ignore(gv_handle *handle) {
    (void) handle;
}

static void never(gv_handle *handle, uint64_t now) {
    (void) handle;
    (void) now;
}

static void stop(gv_handle *handle) {
    uv_poll_stop(&handle->uv.poll);
}

/* libuv watches it no more. What the caller closes next is to end at once. */
static void let_go(gv_handle *handle) {
    close(((gv_poll *) handle)->fd);
}

static const gv_handle_ops OPS = {ignore, never, stop, let_go, ignore, NULL};

static void poll_cb(uv_poll_t *poll, int status, int events) {
    gv_handle *handle = poll->data;
    bool waits = (handle->source.bits & (1u << GV_READY)) != 0;

    if (status < 0)
        handle->source.status = status;
    else
        handle->source.status =
            waits && handle->source.status > 0 ? handle->source.status | events : events;
    gv_ring_report(&handle->loop->ring, &handle->source, GV_READY);
}

static int init(gv_poll *poll, int fd) {
    gv_handle *handle = &poll->handle;
    int flags = fcntl(fd, F_GETFL);
    int rc;

    poll->fd = flags < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (poll->fd < 0)
        return uv_translate_sys_error(errno);
    rc = uv_poll_init(&handle->loop->uv, &handle->uv.poll, poll->fd);
    if (rc < 0) {
        close(poll->fd);
        return rc;
    }
    handle->was_blocking = (flags & O_NONBLOCK) == 0;
    handle->uv.any.data = handle;
    return 0;
}

int64_t gv_poll_new(gv_loop *loop, int fd) {
    int rc = gv_loop_check(loop);
    gv_poll *poll;

    if (rc < 0)
        return rc;
    poll = calloc(1, sizeof(*poll));
    if (poll == NULL)
        return UV_ENOMEM;
    poll->handle.type = GV_POLL;
    rc = gv_handle_add(loop, &poll->handle, &OPS);
    if (rc < 0) {
        free(poll);
        return rc;
    }
    rc = init(poll, fd);
    if (rc < 0) {
        gv_handle_drop(&poll->handle);
        free(poll);
        return rc;
    }
    return poll->handle.source.id;
}

int gv_poll_start(gv_loop *loop, int64_t id, int events) {
    int rc = gv_loop_check(loop);
    gv_handle *handle;

    if (rc < 0)
        return rc;
    handle = gv_handle_find(loop, id);
    if (handle == NULL || handle->shut)
        return UV_EBADF;
    if (handle->type != GV_POLL || (events & ~(GV_POLL_READABLE | GV_POLL_WRITABLE)) != 0)
        return UV_EINVAL;
    if (events == 0)
        return uv_poll_stop(&handle->uv.poll);
    return uv_poll_start(&handle->uv.poll, events, poll_cb);
}
