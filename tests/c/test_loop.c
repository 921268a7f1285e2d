/* The loop: limits, taking records, waking, other threads, and forked children. */
#include "turns.h"

#include <pthread.h>
#include <sys/wait.h>

enum { WAKERS = 4, WAKES = 2000 };

static bool is_refused(int64_t ring_records, int64_t arena_bytes, int64_t read_limit) {
    gv_limits limits = {ring_records, arena_bytes, read_limit};
    int error = 0;

    return gv_loop_new(&limits, &error) == NULL && error == UV_EINVAL;
}

static void limits_that_make_no_sense_are_refused(void) {
    CHECK(is_refused(0, 4096, 4096));
    CHECK(is_refused(-1, 4096, 4096));
    CHECK(is_refused(INT64_MAX, 4096, 4096));
    CHECK(is_refused(1, 4095, 4096));
    CHECK(is_refused(1, -1, 4096));
    CHECK(is_refused(1, INT64_MAX, 4096));
    CHECK(is_refused(1, 4096, 4095));
    CHECK(is_refused(1, 4096, INT64_MIN));
}

static void what_was_not_taken_comes_again(void) {
    int64_t ids[3];
    int i;

    open_loop(8, 4096, 4096);
    for (i = 0; i < 3; i++)
        ids[i] = gv_pipe_new(loop);
    for (i = 0; i < 3; i++)
        abort_handle(ids[i]);
    CHECK_EQ(gv_loop_poll(loop, 0, 0), 3);
    CHECK_EQ(gv_loop_poll(loop, 0, -1), 3); /* it neither waits nor adds */
    CHECK_EQ(gv_loop_poll(loop, 1, -1), 2);
    CHECK_EQ(gv_loop_poll(loop, 1, -1), 2); /* saying it twice does no harm */
    CHECK_EQ(gv_loop_ring(loop)[0], ids[1]);
    CHECK_EQ(gv_loop_handles(loop), 2);
    CHECK_EQ(gv_loop_poll(loop, 4, 0), UV_EINVAL);
    CHECK_EQ(gv_loop_poll(loop, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_loop_poll(loop, -1, 0), UV_EINVAL);
    CHECK_EQ(gv_loop_close(loop, 4), UV_EINVAL);
    CHECK_EQ(gv_loop_close(loop, 2), UV_EBUSY);
    CHECK_EQ(gv_loop_poll(loop, 3, 0), 0);
    CHECK_EQ(gv_loop_handles(loop), 0);
    CHECK_EQ(gv_loop_close(loop, 3), 0);
    gv_loop_free(loop);
}

static void a_closed_loop_says_so(void) {
    int64_t id;

    open_loop(8, 4096, 4096);
    id = gv_tcp_new(loop, AF_INET);
    abort_handle(id);
    settle();
    CHECK_EQ(gv_loop_close(loop, taken + batch), 0);
    CHECK_EQ(gv_loop_close(loop, 0), UV_EBADF);
    CHECK_EQ(gv_loop_poll(loop, 0, -1), UV_EBADF);
    CHECK_EQ(gv_loop_wake(loop), UV_EBADF);
    CHECK_EQ(gv_loop_handles(loop), UV_EBADF);
    CHECK_EQ(gv_tcp_new(loop, 0), UV_EBADF);
    CHECK_EQ(gv_pipe_new(loop), UV_EBADF);
    CHECK_EQ(gv_poll_new(loop, 0), UV_EBADF);
    CHECK_EQ(gv_stream_pending(loop, id), UV_EBADF);
    CHECK(gv_loop_ring(loop) == NULL && gv_loop_arena(loop) == NULL);
    gv_loop_free(loop);
}

static void *call_from_outside(void *arg) {
    int64_t id = *(int64_t *) arg;

    CHECK_EQ(gv_loop_poll(loop, 0, 0), GV_ETHREAD);
    CHECK_EQ(gv_loop_close(loop, 0), GV_ETHREAD);
    CHECK_EQ(gv_loop_handles(loop), GV_ETHREAD);
    CHECK_EQ(gv_pipe_new(loop), GV_ETHREAD);
    CHECK_EQ(gv_tcp_new(loop, 0), GV_ETHREAD);
    CHECK_EQ(gv_poll_new(loop, 0), GV_ETHREAD);
    CHECK_EQ(gv_poll_start(loop, id, 1), GV_ETHREAD);
    CHECK_EQ(gv_stream_write(loop, id, "x", 1), GV_ETHREAD);
    CHECK_EQ(gv_stream_read_start(loop, id), GV_ETHREAD);
    CHECK_EQ(gv_stream_close(loop, id), GV_ETHREAD);
    CHECK_EQ(gv_stream_abort(loop, id), GV_ETHREAD);
    CHECK_EQ(gv_handle_close(loop, id), GV_ETHREAD);
    CHECK_EQ(gv_handle_fileno(loop, id), GV_ETHREAD);
    CHECK(gv_loop_ring(loop) == NULL && gv_loop_arena(loop) == NULL);
    CHECK_EQ(gv_loop_wake(loop), 0);
    return NULL;
}

static void another_thread_may_only_wake(void) {
    pthread_t thread;
    int64_t id;

    open_loop(8, 4096, 4096);
    id = gv_pipe_new(loop);
    CHECK_EQ(pthread_create(&thread, NULL, call_from_outside, &id), 0);
    CHECK_EQ(turn(-1), 0); /* for ever, were it not woken */
    CHECK_EQ(pthread_join(thread, NULL), 0);
    abort_handle(id);
    close_loop();
}

static void a_wake_before_the_poll_counts(void) {
    open_loop(8, 4096, 4096);
    CHECK_EQ(gv_loop_wake(loop), 0);
    CHECK_EQ(turn(-1), 0);
    close_loop();
}

static void *wake_often(void *arg) {
    int i;

    for (i = 0; i < WAKES; i++)
        gv_loop_wake(arg); /* closed or not: it is only not freed */
    return NULL;
}

static void a_loop_may_be_closed_while_others_wake_it(void) {
    pthread_t threads[WAKERS];
    gv_loop *shared;
    int i;

    open_loop(8, 4096, 4096);
    shared = loop;
    for (i = 0; i < WAKERS; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, wake_often, shared), 0);
    for (i = 0; i < 20; i++)
        turn(0);
    CHECK_EQ(gv_loop_close(loop, taken + batch), 0);
    for (i = 0; i < WAKERS; i++)
        CHECK_EQ(pthread_join(threads[i], NULL), 0);
    gv_loop_free(shared);
}

static void a_timeout_ends_the_wait(void) {
    uint64_t start = uv_hrtime();

    open_loop(8, 4096, 4096);
    CHECK_EQ(turn(30), 0);
    CHECK(uv_hrtime() - start >= UINT64_C(29000000)); /* and not at once */
    close_loop();
}

/* A child that lets go leaves the parent's connections watched, and closes its
 * copies, so that a peer sees the parent close them. */
static void a_forked_child_lets_go(void) {
    int status;
    int peer;
    int64_t id;
    int64_t other;
    pid_t child;
    int pipe_peer;

    open_loop(8, PLENTY, 4096);
    id = open_tcp_pair(&peer);
    other = open_pipe_pair(&pipe_peer);
    CHECK_EQ(gv_stream_read_start(loop, id), 0);
    turn(0);
    gv_loop_abandon(loop); /* does nothing here */
    CHECK_EQ(gv_loop_handles(loop), 2);
    child = fork();
    if (child == 0) {
        int fd = gv_handle_fileno(loop, id);

        gv_loop_abandon(loop);
        gv_loop_abandon(loop);
        CHECK_EQ(fcntl(fd, F_GETFD), -1);
        CHECK_EQ(gv_loop_poll(loop, 0, 0), GV_EFORKED);
        CHECK_EQ(gv_stream_write(loop, id, "x", 1), GV_EFORKED);
        CHECK_EQ(gv_stream_abort(loop, id), GV_EFORKED);
        CHECK_EQ(gv_loop_close(loop, 0), GV_EFORKED);
        CHECK_EQ(gv_loop_wake(loop), UV_EBADF);
        gv_loop_free(loop);   /* leaks, but does no harm */
        while (pause() != -1) /* the parent goes first */
            continue;
        _exit(1);
    }
    CHECK(child > 0);
    send_all(peer, "x", 1);
    await(id, GV_DATA);
    abort_handle(id);
    await(id, GV_CLOSED);
    CHECK_EQ(recv(peer, &status, 1, 0), -1); /* though the child had a copy */
    CHECK_EQ(kill(child, 0), 0);
    CHECK_EQ(kill(child, SIGKILL), 0);
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    abort_handle(other);
    close(peer);
    close(pipe_peer);
    close_loop();
}

static void *make_and_leave(void *arg) {
    gv_limits limits = {8, PLENTY, 4096};
    int error;

    *(gv_loop **) arg = gv_loop_new(&limits, &error);
    return NULL;
}

static void in_thread(void *(*function)(void *), void *arg) {
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, function, arg), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void *abandon_and_wake(void *arg) {
    while (!atomic_load(&loop->polling))
        sched_yield();
    gv_loop_abandon(loop);
    CHECK_EQ(gv_loop_wake(loop), 0);
    return arg;
}

static gv_loop *orphan; /* its memory stays */

static void the_loop_of_a_thread_that_is_gone_can_be_given_up(void) {
    int before = dup(0);
    int after;

    close(before);
    in_thread(make_and_leave, &orphan);
    CHECK(orphan != NULL);
    gv_loop_abandon(orphan);
    CHECK_EQ(gv_loop_wake(orphan), UV_EBADF);
    after = dup(0);
    CHECK_EQ(after, before); /* its descriptors are free again */
    close(after);
}

static void a_loop_that_polls_is_not_given_up(void) {
    pthread_t thread;

    open_loop(8, PLENTY, 4096);
    CHECK_EQ(pthread_create(&thread, NULL, abandon_and_wake, NULL), 0);
    turn(-1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_EQ(turn(0), 0);
    close_loop();
}

int main(void) {
    limits_that_make_no_sense_are_refused();
    what_was_not_taken_comes_again();
    a_closed_loop_says_so();
    another_thread_may_only_wake();
    a_wake_before_the_poll_counts();
    a_loop_may_be_closed_while_others_wake_it();
    a_timeout_ends_the_wait();
    a_forked_child_lets_go();
    the_loop_of_a_thread_that_is_gone_can_be_given_up();
    a_loop_that_polls_is_not_given_up();
    return 0;
}
