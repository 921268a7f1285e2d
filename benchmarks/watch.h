/* Which of many sockets are ready: epoll where there is one, poll elsewhere.
 *
 * Every socket has a number, from 0 up to the count given to watch_open().
 * All are watched for reading; for writing only while watch_set() says so. */
#ifndef BENCHMARKS_WATCH_H
#define BENCHMARKS_WATCH_H

#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>

#ifdef __linux__
#include <sys/epoll.h>
#endif

struct ready {
    int number;
    bool readable; /* or broken: reading tells */
    bool writable;
};

struct watch {
    int count;
    struct ready *ready; /* what watch_wait() found */
#ifdef __linux__
    int epoll;
    struct epoll_event *events;
#else
    struct pollfd *fds;
#endif
};

#ifdef __linux__

static inline bool watch_open(struct watch *watch, int count) {
    watch->count = count;
    watch->ready = calloc(count, sizeof *watch->ready);
    watch->events = calloc(count, sizeof *watch->events);
    watch->epoll = epoll_create1(0);
    return watch->ready != NULL && watch->events != NULL && watch->epoll >= 0;
}

static inline int watch_control(struct watch *watch, int how, int fd, int number, bool writing) {
    struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.u32 = number};

    return epoll_ctl(watch->epoll, how, fd, &event);
}

static inline int watch_add(struct watch *watch, int fd, int number, bool writing) {
    return watch_control(watch, EPOLL_CTL_ADD, fd, number, writing);
}

static inline int watch_set(struct watch *watch, int fd, int number, bool writing) {
    return watch_control(watch, EPOLL_CTL_MOD, fd, number, writing);
}

/* Closing the socket is enough for epoll. */
static inline void watch_remove(struct watch *watch, int number) {
    (void) watch;
    (void) number;
}

/* Returns how many are ready, or -1 and errno. */
static inline int watch_wait(struct watch *watch, int milliseconds) {
    int found = epoll_wait(watch->epoll, watch->events, watch->count, milliseconds);

    for (int i = 0; i < found; i++) {
        watch->ready[i].number = watch->events[i].data.u32;
        watch->ready[i].readable = (watch->events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
        watch->ready[i].writable = (watch->events[i].events & EPOLLOUT) != 0;
    }
    return found;
}

#else

static inline bool watch_open(struct watch *watch, int count) {
    watch->count = count;
    watch->ready = calloc(count, sizeof *watch->ready);
    watch->fds = calloc(count, sizeof *watch->fds);
    for (int i = 0; watch->fds != NULL && i < count; i++)
        watch->fds[i].fd = -1; /* poll() passes over these */
    return watch->ready != NULL && watch->fds != NULL;
}

static inline int watch_set(struct watch *watch, int fd, int number, bool writing) {
    watch->fds[number].fd = fd;
    watch->fds[number].events = POLLIN | (writing ? POLLOUT : 0);
    return 0;
}

static inline int watch_add(struct watch *watch, int fd, int number, bool writing) {
    return watch_set(watch, fd, number, writing);
}

static inline void watch_remove(struct watch *watch, int number) {
    watch->fds[number].fd = -1;
}

/* Returns how many are ready, or -1 and errno. */
static inline int watch_wait(struct watch *watch, int milliseconds) {
    int found = 0;

    if (poll(watch->fds, watch->count, milliseconds) < 0)
        return -1;
    for (int i = 0; i < watch->count; i++) {
        short events = watch->fds[i].fd < 0 ? 0 : watch->fds[i].revents;

        if (events == 0)
            continue;
        watch->ready[found].number = i;
        watch->ready[found].readable = (events & (POLLIN | POLLERR | POLLHUP)) != 0;
        watch->ready[found].writable = (events & POLLOUT) != 0;
        found++;
    }
    return found;
}

#endif
#endif
