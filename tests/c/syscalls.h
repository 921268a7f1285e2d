/* Counts the system calls that are made for one descriptor, by standing before
 * libc's functions. Include it in one file of a program. */
#ifndef SYSCALLS_H
#define SYSCALLS_H

#include <dlfcn.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int watched = -1;
static int sends;   /* write, writev, sendmsg */
static int epolls;  /* epoll_ctl */
static int accepts; /* accept4, of any descriptor */

static inline void watch(int fd) {
    watched = fd;
    sends = epolls = accepts = 0;
}

ssize_t write(int fd, const void *data, size_t len) {
    static ssize_t (*real)(int, const void *, size_t);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "write");
    sends += fd == watched;
    return real(fd, data, len);
}

ssize_t writev(int fd, const struct iovec *iov, int n) {
    static ssize_t (*real)(int, const struct iovec *, int);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "writev");
    sends += fd == watched;
    return real(fd, iov, n);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    static ssize_t (*real)(int, const struct msghdr *, int);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "sendmsg");
    sends += fd == watched;
    return real(fd, msg, flags);
}

int epoll_ctl(int epoll, int op, int fd, struct epoll_event *event) {
    static int (*real)(int, int, int, struct epoll_event *);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "epoll_ctl");
    epolls += fd == watched;
    return real(epoll, op, fd, event);
}

int accept4(int fd, struct sockaddr *restrict addr, socklen_t *restrict len, int flags) {
    static int (*real)(int, struct sockaddr *, socklen_t *, int);

    if (real == NULL)
        *(void **) &real = dlsym(RTLD_NEXT, "accept4");
    accepts++;
    return real(fd, addr, len, flags);
}

#endif
