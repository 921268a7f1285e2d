/* Many connections to one server, most of them idle.
 *
 *     hold HOST:PORT SOURCES SAY END
 *
 * A connection says SAY and has its answer once what came ends with END; if
 * END is empty, it never reads. They come from 127.0.0.2 and so on, SOURCES
 * addresses in all, because one has only 28,000 ports. Reads commands from
 * stdin, a line each, and answers each with a line of JSON:
 *
 *     connect N        open N more, and let each ask once
 *     ask N SECONDS    let N of them ask, again and again
 *     churn N SECONDS  open N at a time, let each ask once, and close it
 *     shout TEXT N     say TEXT on one, and wait for N bytes on each
 *     take BYTES RATE  read so many on the last, at most RATE a second (0: any)
 *     give BYTES       write so many on the last, end that, and wait for its answer
 *
 * Any failure is {"error": ...}, and the end. Where epoll is, that is Linux. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "latency.h"

enum {
    MOST = 20000,        /* connections of one process */
    BATCH = 64,          /* that may be on their way */
    PATIENCE = 20000,    /* milliseconds in which something has to happen */
    BUFFER = 1024 * 1024 /* bytes */
};

enum mode { CONNECT, ASK, CHURN };

struct connection {
    int fd;
    bool connecting;
    size_t got;   /* bytes, while it is shouted at */
    double since; /* when it began to connect, or asked last */
};

static struct sockaddr_in server;
static unsigned sources, opened;
static const char *say, *end;
static size_t end_length;
static int epoll, count;
static struct connection all[MOST];
static struct latency latency;
static char buffer[BUFFER];

static void fatal(const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    printf("{\"error\": \"");
    vprintf(format, arguments);
    printf("\"}\n");
    exit(1);
}

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec * 1e-9;
}

static void answer(double seconds, double number) {
    printf("{\"seconds\": %.6f, \"count\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f, "
           "\"p999_us\": %.1f}\n",
           seconds, number, latency_quantile(&latency, 0.5), latency_quantile(&latency, 0.99),
           latency_quantile(&latency, 0.999));
    fflush(stdout);
}

/* --- one connection --- */

static void watch(struct connection *connection, int how, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = connection};

    if (epoll_ctl(epoll, how, connection->fd, &event) < 0)
        fatal("could not watch a socket: %s", strerror(errno));
}

static void begin(struct connection *connection, enum mode mode) {
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct linger abort_it = {1, 0}; /* leave nothing in TIME_WAIT of those that are only held */
    int one = 1;

    from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1 + opened++ % sources);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connection->fd < 0)
        fatal("could not make socket %d: %s", count, strerror(errno));
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    setsockopt(connection->fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
    if (mode != CHURN)
        setsockopt(connection->fd, SOL_SOCKET, SO_LINGER, &abort_it, sizeof abort_it);
    connection->connecting = true;
    connection->since = now();
    if (bind(connection->fd, (struct sockaddr *) &from, sizeof from) < 0 ||
        (connect(connection->fd, (struct sockaddr *) &server, sizeof server) < 0 &&
         errno != EINPROGRESS))
        fatal("could not connect: %s", strerror(errno));
    watch(connection, EPOLL_CTL_ADD, EPOLLOUT);
}

static void ask(struct connection *connection) {
    size_t length = strlen(say);

    if (send(connection->fd, say, length, 0) != (ssize_t) length)
        fatal("could not ask: %s", strerror(errno));
}

static void connected(struct connection *connection) {
    int error = 0;
    socklen_t length = sizeof error;

    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0)
        fatal("could not connect: %s", strerror(error));
    connection->connecting = false;
    ask(connection);
    watch(connection, EPOLL_CTL_MOD, EPOLLIN);
}

static ssize_t receive(struct connection *connection) {
    ssize_t length = recv(connection->fd, buffer, BUFFER, 0);

    if (length < 0 && errno != EAGAIN)
        fatal("could not receive: %s", strerror(errno));
    if (length == 0)
        fatal("closed by the server");
    return length < 0 ? 0 : length;
}

/* Whether it has its answer now. An answer fits into one segment, so only its end counts. */
static bool answered(struct connection *connection) {
    ssize_t length;

    if (connection->connecting) {
        connected(connection);
        return end_length == 0;
    }
    length = receive(connection);
    return length >= (ssize_t) end_length &&
           memcmp(buffer + length - end_length, end, end_length) == 0;
}

static int wait_some(struct epoll_event *events) {
    int found = epoll_wait(epoll, events, BATCH, PATIENCE);

    if (found == 0)
        fatal("nothing came in %d seconds", PATIENCE / 1000);
    return found < 0 ? 0 : found;
}

/* --- commands --- */

static void connect_more(int more) {
    struct epoll_event events[BATCH];
    double began = now();
    int wanted = count + more, busy = 0;

    if (wanted > MOST)
        fatal("only %d connections fit into one process", MOST);
    while (count < wanted || busy > 0) {
        for (; count < wanted && busy < BATCH; busy++)
            begin(&all[count++], CONNECT);
        for (int i = 0, found = wait_some(events); i < found; i++) {
            struct connection *connection = events[i].data.ptr;

            if (!answered(connection))
                continue;
            latency_add(&latency, now() - connection->since);
            watch(connection, EPOLL_CTL_DEL, 0);
            busy--;
        }
    }
    answer(now() - began, more);
}

/* Let `busy` connections ask until the time is up. */
static void ask_again(enum mode mode, int busy, double seconds) {
    struct epoll_event events[BATCH];
    double began = now(), stop = began + seconds;
    int done = 0;

    while (busy > 0) {
        for (int i = 0, found = wait_some(events); i < found; i++) {
            struct connection *connection = events[i].data.ptr;
            double time;

            if (!answered(connection))
                continue;
            time = now();
            latency_add(&latency, time - connection->since);
            done++;
            if (mode == CHURN)
                close(connection->fd);
            if (time >= stop) {
                if (mode == ASK)
                    watch(connection, EPOLL_CTL_DEL, 0);
                busy--;
            } else if (mode == CHURN)
                begin(connection, CHURN);
            else {
                connection->since = time;
                ask(connection);
            }
        }
    }
    answer(now() - began, done);
}

static void ask_some(int busy, double seconds) {
    if (busy > count)
        fatal("there are only %d connections", count);
    for (int i = 0; i < busy; i++) {
        struct connection *connection = &all[(size_t) i * count / busy];

        watch(connection, EPOLL_CTL_ADD, EPOLLIN);
        connection->since = now();
        ask(connection);
    }
    ask_again(ASK, busy, seconds);
}

static void churn(int parallel, double seconds) {
    if (count + parallel > MOST)
        fatal("only %d connections fit into one process", MOST);
    for (int i = 0; i < parallel; i++)
        begin(&all[count + i], CHURN);
    ask_again(CHURN, parallel, seconds);
}

static void shout(const char *text, size_t bytes) {
    struct epoll_event events[BATCH];
    double began = now();
    int left = count;

    for (int i = 0; i < count; i++) {
        all[i].got = 0;
        watch(&all[i], EPOLL_CTL_ADD, EPOLLIN);
    }
    began = now();
    if (send(all[0].fd, text, strlen(text), 0) < 0)
        fatal("could not shout: %s", strerror(errno));
    while (left > 0)
        for (int i = 0, found = wait_some(events); i < found; i++) {
            struct connection *connection = events[i].data.ptr;

            connection->got += receive(connection);
            if (connection->got >= bytes) {
                latency_add(&latency, now() - began);
                watch(connection, EPOLL_CTL_DEL, 0);
                left--;
            }
        }
    answer(now() - began, count);
}

static void pause_until(double time) {
    double left = time - now();
    struct timespec rest = {(time_t) left, (long) ((left - (double) (time_t) left) * 1e9)};

    if (left > 0)
        nanosleep(&rest, NULL);
}

static void wait_for(int fd, short events) {
    struct pollfd one = {.fd = fd, .events = events};

    if (poll(&one, 1, PATIENCE) == 0)
        fatal("nothing moved in %d seconds", PATIENCE / 1000);
}

static void take(double bytes, double rate) {
    double began = now(), got = 0;

    while (got < bytes) {
        wait_for(all[count - 1].fd, POLLIN);
        got += (double) receive(&all[count - 1]);
        if (rate > 0)
            pause_until(began + got / rate);
    }
    answer(now() - began, got);
}

static void give(double bytes) {
    double began = now(), given = 0;
    int fd = all[count - 1].fd;

    memset(buffer, 'x', BUFFER);
    while (given < bytes) {
        size_t length = bytes - given < BUFFER ? (size_t) (bytes - given) : BUFFER;
        ssize_t sent = send(fd, buffer, length, 0);

        if (sent < 0 && errno != EAGAIN)
            fatal("could not send: %s", strerror(errno));
        if (sent < 0)
            wait_for(fd, POLLOUT);
        else
            given += (double) sent;
    }
    shutdown(fd, SHUT_WR);
    wait_for(fd, POLLIN);
    receive(&all[count - 1]);
    answer(now() - began, given);
}

static void command(const char *line) {
    double first = 0, second = 0;
    char text[64] = "";
    size_t bytes;

    memset(&latency, 0, sizeof latency);
    if (sscanf(line, "connect %lf", &first) == 1)
        connect_more((int) first);
    else if (sscanf(line, "ask %lf %lf", &first, &second) == 2)
        ask_some((int) first, second);
    else if (sscanf(line, "churn %lf %lf", &first, &second) == 2)
        churn((int) first, second);
    else if (sscanf(line, "shout %63s %zu", text, &bytes) == 2)
        shout(text, bytes);
    else if (sscanf(line, "take %lf %lf", &first, &second) == 2)
        take(first, second);
    else if (sscanf(line, "give %lf", &first) == 1)
        give(first);
    else
        fatal("unknown command");
}

int main(int argc, char **argv) {
    char line[256], *colon = argc == 5 ? strrchr(argv[1], ':') : NULL;

    if (colon == NULL)
        fatal("usage: hold HOST:PORT SOURCES SAY END");
    *colon = '\0';
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t) atoi(colon + 1));
    if (inet_pton(AF_INET, argv[1], &server.sin_addr) != 1 || (sources = atoi(argv[2])) < 1)
        fatal("HOST must be an IPv4 address, and SOURCES 1 or more");
    say = argv[3];
    end = argv[4];
    end_length = strlen(end);
    epoll = epoll_create1(0);
    signal(SIGPIPE, SIG_IGN);
    while (fgets(line, sizeof line, stdin) != NULL)
        command(line);
    return 0;
}
