#include "csrc/loop.h"

#include "csrc/outqueue.h"

#include <stdlib.h>
#include <unistd.h>

/* The number of the calling thread. Unlike the system's, no other thread gets it
 * later. */
static uint64_t this_thread(void) {
    static atomic_ullong threads;
    static _Thread_local uint64_t number;

    if (number == 0)
        number = atomic_fetch_add(&threads, 1) + 1;
    return number;
}

int gv_loop_check(const gv_loop *loop) {
    if (loop == NULL)
        return UV_EBADF;
    switch (atomic_load_explicit(&loop->state, memory_order_relaxed)) {
    case GV_LOOP_OPEN:
        return this_thread() == loop->owner ? 0 : GV_ETHREAD;
    case GV_LOOP_FORKED:
        return GV_EFORKED;
    default:
        return UV_EBADF;
    }
}

/* ns that it takes to get something back before we look what has come meanwhile. */
enum { LATE = 1000000 };

static void wakeup_cb(uv_async_t *async) {
    (void) async; /* that poll returns is all it is for */
}

/* libuv runs timers before it polls, too. One that ends there must not let it wait
 * for ever. */
static void timer_cb(uv_timer_t *timer) {
    uv_stop(timer->loop);
}

static int init(gv_loop *loop, const gv_limits *limits) {
    int rc;

    rc = gv_ring_init(&loop->ring, limits->ring_records, (size_t) limits->arena_bytes);
    if (rc < 0)
        return rc;
    rc = uv_mutex_init(&loop->guard);
    if (rc < 0)
        goto no_mutex;
    gv_fds_keep_standard();
    rc = uv_loop_init(&loop->uv);
    if (rc < 0)
        goto no_loop;
    /* Both stay referenced: without an active handle uv_run() would not wait. */
    rc = uv_async_init(&loop->uv, &loop->wakeup, wakeup_cb);
    if (rc < 0)
        goto no_wakeup;
    uv_timer_init(&loop->uv, &loop->timer);
    return 0;

no_wakeup:
    uv_loop_close(&loop->uv);
no_loop:
    uv_mutex_destroy(&loop->guard);
no_mutex:
    gv_ring_free(&loop->ring);
    return rc;
}

gv_loop *gv_loop_new(const gv_limits *limits, int *error) {
    gv_loop *loop;

    if (error == NULL)
        return NULL;
    if (limits == NULL || limits->ring_records < 1 || limits->ring_records > 1 << 24 ||
        limits->arena_bytes < GV_READ_MIN || limits->arena_bytes > INT64_C(1) << 32 ||
        limits->read_limit < GV_READ_MIN) {
        *error = UV_EINVAL;
        return NULL;
    }
    loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        *error = UV_ENOMEM;
        return NULL;
    }
    *error = init(loop, limits);
    if (*error < 0) {
        free(loop);
        return NULL;
    }
    loop->owner = this_thread();
    loop->process = getpid();
    loop->read_limit = (size_t) limits->read_limit;
    loop->epoch = 1; /* 0 is the epoch of who never had anything */
    gv_wheel_init(&loop->wheel, uv_now(&loop->uv));
    atomic_store(&loop->state, GV_LOOP_OPEN);
    return loop;
}

static void free_memory(gv_loop *loop) {
    uint32_t i;

    gv_chunks_free(loop);
    free(loop->datagrams);
    free(loop->records);
    gv_fds_free(&loop->fds);
    gv_ring_free(&loop->ring);
    for (i = 0; i < GV_SLOT_CHUNKS && loop->slots.chunks[i] != NULL; i++)
        free(loop->slots.chunks[i]);
}

static int advance(gv_loop *loop, int64_t taken) {
    const int64_t *record = loop->ring.records;
    int64_t i;

    if (taken < loop->taken || taken - loop->taken > loop->ring.count)
        return UV_EINVAL;
    for (i = loop->taken; i < taken; i++, record += GV_RECORD_WORDS)
        if (record[1] == GV_CLOSED)
            gv_handle_reap(loop, record[0]);
    gv_ring_advance(&loop->ring, taken - loop->taken);
    loop->taken = taken;
    return 0;
}

int gv_loop_close(gv_loop *loop, int64_t taken) {
    int rc = gv_loop_check(loop);

    if (rc == 0)
        rc = advance(loop, taken);
    if (rc < 0)
        return rc;
    if (loop->slots.live > 0)
        return UV_EBUSY;
    uv_mutex_lock(&loop->guard);
    atomic_store(&loop->state, GV_LOOP_CLOSED);
    uv_close((uv_handle_t *) &loop->wakeup, NULL);
    uv_mutex_unlock(&loop->guard);
    uv_close((uv_handle_t *) &loop->timer, NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT); /* to the end of those two; nothing else is left */
    rc = uv_loop_close(&loop->uv);
    free_memory(loop);
    return rc;
}

void gv_loop_free(gv_loop *loop) {
    if (loop == NULL || atomic_load(&loop->state) != GV_LOOP_CLOSED)
        return;
    uv_mutex_destroy(&loop->guard);
    free(loop);
}

static void close_fd(int fd) {
    if (fd > STDERR_FILENO) /* libuv spares these three too */
        close(fd);
}

static bool is_in_use(gv_loop *loop) {
    return loop->process == getpid() &&
           (loop->owner == this_thread() || atomic_load(&loop->polling));
}

void gv_loop_abandon(gv_loop *loop) {
    uint32_t i;

    if (loop == NULL || atomic_load(&loop->state) != GV_LOOP_OPEN || is_in_use(loop))
        return;
    atomic_store(&loop->state, GV_LOOP_FORKED);
    for (i = 0; i < loop->slots.size; i++) {
        const gv_handle *handle = loop->slots.chunks[i / GV_SLOT_CHUNK][i % GV_SLOT_CHUNK].handle;

        /* Otherwise no peer of the parent would see it close a connection, and
         * a dead listener would go on taking clients. */
        if (handle == NULL)
            continue;
        if (handle->ops->abandoned != NULL)
            handle->ops->abandoned(handle);
        if (!handle->shut)
            close_fd(gv_handle_fd(handle));
    }
    close_fd(loop->uv.backend_fd);
    close_fd(loop->uv.async_io_watcher.fd);
    close_fd(loop->uv.async_wfd);
    close_fd(loop->uv.signal_pipefd[0]);
    close_fd(loop->uv.signal_pipefd[1]);
    close_fd(loop->uv.emfile_fd);
#ifdef __linux__
    close_fd(loop->uv.inotify_fd);
#endif
}

int gv_loop_wake(gv_loop *loop) {
    int rc = UV_EBADF;

    /* After a fork the mutex may be held by a thread that is no more. */
    if (loop == NULL || atomic_load(&loop->state) != GV_LOOP_OPEN)
        return rc;
    uv_mutex_lock(&loop->guard);
    if (atomic_load(&loop->state) == GV_LOOP_OPEN)
        rc = uv_async_send(&loop->wakeup);
    uv_mutex_unlock(&loop->guard);
    return rc;
}

static void flush(gv_loop *loop) {
    gv_handle *handle = loop->first_dirty;
    gv_handle *next;

    loop->first_dirty = loop->last_dirty = NULL;
    for (; handle != NULL; handle = next) {
        next = handle->next_dirty;
        handle->dirty = false;
        if (!handle->shut)
            handle->ops->flush(handle);
    }
}

static void share_out(gv_loop *loop) {
    size_t readers = loop->ready > 0 ? (size_t) loop->ready : 1;
    size_t share = loop->ring.arena_size / readers;

    /* When there are many, whole messages for some of them in turn cost less than a
     * piece for each. */
    if (share < GV_READ_FAIR)
        share = GV_READ_FAIR;
    loop->share = share < loop->read_limit ? share : loop->read_limit;
    loop->turn++;
    loop->ready = 0;
    loop->refused = false;
}

static void run(gv_loop *loop, int64_t timeout) {
    int64_t nearest = gv_wheel_timeout(&loop->wheel, uv_now(&loop->uv));

    if (timeout < 0 || (nearest >= 0 && nearest < timeout))
        timeout = nearest;
    if (timeout > 0) {
        /* libuv counts from the time it saw last, which may be long ago. */
        uv_update_time(&loop->uv);
        uv_timer_start(&loop->timer, timer_cb, (uint64_t) timeout, 0);
    }
    uv_run(&loop->uv, timeout == 0 ? UV_RUN_NOWAIT : UV_RUN_ONCE);
    if (timeout > 0)
        uv_timer_stop(&loop->timer);
}

static void *(*before_wait)(void);
static void (*after_wait)(void *);

void gv_loop_around_wait(void *(*before)(void), void (*after)(void *)) {
    before_wait = before;
    after_wait = after;
}

static _Atomic uint64_t last_thread; /* 0: the process goes on */

void gv_loop_last_thread(void) {
    atomic_store(&last_thread, this_thread());
}

static void let_the_last_thread_go_first(void) {
    uint64_t last = atomic_load(&last_thread);

    if (last != 0 && last != this_thread())
        usleep(1000000);
}

static void run_and_let_others(gv_loop *loop, int64_t timeout) {
    uint64_t end;
    void *state;

    if (before_wait == NULL) {
        run(loop, timeout);
        return;
    }
    state = before_wait();
    run(loop, timeout);
    let_the_last_thread_go_first();
    end = uv_hrtime();
    after_wait(state);
    /* Meanwhile more has come, and next time it would take as long again. */
    if (uv_hrtime() - end > LATE)
        run(loop, 0);
}

/* After the I/O of the same turn, so that data that was there in time counts. */
static void expire(gv_loop *loop) {
    uint64_t now = uv_now(&loop->uv);
    gv_deadline *deadline;

    while ((deadline = gv_wheel_take(&loop->wheel, now)) != NULL) {
        gv_handle *handle = (gv_handle *) ((char *) deadline - offsetof(gv_handle, deadline));

        handle->ops->expired(handle, now);
    }
}

int64_t gv_loop_poll(gv_loop *loop, int64_t taken, int64_t timeout_ms) {
    int rc = gv_loop_check(loop);

    if (rc == 0)
        rc = advance(loop, taken);
    if (rc < 0)
        return rc;
    if (loop->ring.count > 0)
        return loop->ring.count;
    share_out(loop);
    flush(loop);
    if (loop->ring.count > 0 || loop->first_dirty != NULL)
        timeout_ms = 0;
    if (loop->ring.first != NULL) /* flushing alone filled the ring */
        return loop->ring.count;
    atomic_store(&loop->polling, true);
    run_and_let_others(loop, timeout_ms);
    atomic_store(&loop->polling, false);
    loop->starving = loop->refused;
    if (!loop->refused)
        loop->epoch++;
    expire(loop);
    return loop->ring.count;
}

const int64_t *gv_loop_ring(gv_loop *loop) {
    return gv_loop_check(loop) < 0 ? NULL : loop->ring.records;
}

char *gv_loop_arena(gv_loop *loop) {
    return gv_loop_check(loop) < 0 ? NULL : loop->ring.arena;
}

int64_t gv_loop_handles(gv_loop *loop) {
    int rc = gv_loop_check(loop);

    return rc < 0 ? rc : loop->slots.live;
}
