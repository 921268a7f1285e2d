/* Load for an echo server: many connections, each sends a message, waits until
 * all of it is back, compares every byte, and sends the next.
 *
 *     load ADDRESS CONNECTIONS SIZE SECONDS WARMUP TIMEOUT [RATE [WORD ...]]
 *
 * ADDRESS is host:port, [host]:port, or the path of a Unix socket (with a '/').
 * SIZE is in bytes, the times are in seconds; TIMEOUT is for one message.
 * WORD is one of
 *
 *     tls, tls1.2, tls1.3  over TLS of any version, or of that
 *     fresh                a new connection for each message; latency counts from its begin
 *     resume               those that are new resume a TLS session, once there is one
 *
 * With RATE, so many messages are due per second, each connection's at even
 * intervals, and latency counts from when a message was due. Without it a server
 * that lets some connections wait gets good figures: those send little meanwhile.
 *
 * stdout gets one line of JSON at the end. stderr gets, ten times a second and
 * at each change of phase, "progress PHASE SECONDS CONNECTIONS REQUESTS", where
 * the last two are what is open and what was echoed in this phase. The exit
 * code is 0, 1 if a connection failed, 2 if it could not even start. */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "address.h"
#include "latency.h"
#include "secure.h"
#include "watch.h"

enum {
    BATCH = 64,          /* connections that may be on their way: servers' backlogs start at 100 */
    SHIFTS = 4096,       /* messages differ in where they start in one random text */
    BUFFER = 256 * 1024, /* bytes one read may bring */
    TICK_MS = 20,        /* the longest wait */
    PACED_TICK_MS = 1    /* the same, if messages have a time */
};

static const double PROGRESS_EVERY = 0.1; /* seconds */

enum state { CLOSED, CONNECTING, SHAKING, EXCHANGING, RESTING };
enum phase { CONNECT, WARM_UP, MEASURE, FINISH };

static const char *const PHASES[] = {"connecting", "warming", "measuring", "finishing"};

struct connection {
    int fd;
    SSL *ssl;     /* or NULL */
    bool resumes; /* a session was offered */
    enum state state;
    bool writing; /* watched for writing */
    unsigned messages;
    size_t sent, got; /* bytes of this message */
    double since;     /* when it was due, or it or the attempt to connect began */
    double sent_at;   /* when it began: what the timeout counts from */
};

struct load {
    struct address address;
    int connections;
    size_t size;
    double seconds, warmup, timeout;
    double rate; /* messages per second, 0: each as soon as the one before is back */
    bool tls, fresh, resume;
    int version;
    struct secure secure;

    struct watch watch;
    struct connection *all;
    char *text, *buffer;
    int begun, connecting, open, exchanging; /* who shakes hands is still connecting */

    enum phase phase;
    double phase_began, next_progress;
    double paced_from;  /* when the first message is due; 0 before that is known */
    uint64_t scheduled; /* messages whose time has come */
    uint64_t requests;  /* in this phase */
    uint64_t resumed;   /* of the requests measured, those with a session from before */
    uint64_t refused;   /* those where the server did not want it */
    struct latency latency;

    uint64_t measured, errors;
    double measured_seconds;
    char first_error[200];
};

static double now(void) {
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double) time.tv_sec + (double) time.tv_nsec * 1e-9;
}

static void refuse(const char *what) {
    fprintf(stderr, "load: %s\n", what);
    exit(2);
}

static bool would_block(void) {
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

/* --- what can go wrong with a connection --- */

static void drop(struct load *load, struct connection *connection) {
    load->connecting -= connection->state == CONNECTING || connection->state == SHAKING;
    load->exchanging -= connection->state == EXCHANGING;
    load->open -= connection->state == EXCHANGING || connection->state == RESTING;
    connection->state = CLOSED;
    if (connection->ssl != NULL)
        secure_end(connection->ssl);
    connection->ssl = NULL;
    if (connection->fd >= 0) {
        watch_remove(&load->watch, (int) (connection - load->all));
        close(connection->fd);
    }
}

static void fail(struct load *load, struct connection *connection, const char *format, ...) {
    va_list arguments;

    if (load->errors++ == 0) {
        va_start(arguments, format);
        vsnprintf(load->first_error, sizeof load->first_error, format, arguments);
        va_end(arguments);
    }
    drop(load, connection);
}

/* --- one exchange --- */

static const char *message_of(const struct load *load, const struct connection *connection) {
    unsigned number = (unsigned) (connection - load->all);

    return load->text + (number * 613u + connection->messages * 131u) % SHIFTS;
}

static void watch_writing(struct load *load, struct connection *connection, bool writing) {
    if (writing != connection->writing)
        watch_set(&load->watch, connection->fd, (int) (connection - load->all), writing);
    connection->writing = writing;
}

/* Like send(), but for TLS, too, and SECURE_AGAIN and SECURE_ERROR say what went wrong. */
static ssize_t transmit(struct connection *connection, const char *data, size_t length) {
    ssize_t sent;

    if (connection->ssl != NULL)
        return secure_send(connection->ssl, data, length);
    sent = send(connection->fd, data, length, 0);
    return sent >= 0 ? sent : would_block() ? SECURE_AGAIN : SECURE_ERROR;
}

static ssize_t obtain(struct load *load, struct connection *connection) {
    ssize_t got;

    if (connection->ssl != NULL)
        return secure_receive(connection->ssl, load->buffer, BUFFER);
    got = recv(connection->fd, load->buffer, BUFFER, 0);
    return got >= 0 ? got : would_block() ? SECURE_AGAIN : SECURE_ERROR;
}

static const char *reason(const struct connection *connection) {
    return connection->ssl != NULL ? secure_reason() : strerror(errno);
}

static void send_more(struct load *load, struct connection *connection) {
    const char *message = message_of(load, connection);

    while (connection->sent < load->size) {
        ssize_t sent =
            transmit(connection, message + connection->sent, load->size - connection->sent);

        if (sent == SECURE_AGAIN)
            break;
        if (sent < 0) {
            fail(load, connection, "could not send: %s", reason(connection));
            return;
        }
        connection->sent += sent;
    }
    watch_writing(load, connection, connection->sent < load->size);
}

/* When the connection's next message is to be sent. */
static double due(const struct load *load, const struct connection *connection) {
    double before = (double) connection->messages * load->connections + (connection - load->all);

    return load->paced_from + before / load->rate;
}

static void send_next(struct load *load, struct connection *connection, double time) {
    if (!load->fresh)
        connection->since = load->rate > 0 ? due(load, connection) : time;
    connection->sent_at = time;
    connection->messages++;
    connection->sent = connection->got = 0;
    send_more(load, connection);
}

static void rest(struct load *load, struct connection *connection) {
    connection->state = RESTING;
    load->exchanging--;
}

static void begin(struct load *load, struct connection *connection);

static void complete(struct load *load, struct connection *connection) {
    double time = now();

    load->requests++;
    if (load->phase == MEASURE) {
        latency_add(&load->latency, time - connection->since);
        if (connection->ssl != NULL && SSL_session_reused(connection->ssl))
            load->resumed++;
        else if (connection->resumes)
            load->refused++;
    }
    if (load->phase == FINISH || (load->rate > 0 && due(load, connection) > time))
        rest(load, connection);
    else if (load->fresh) {
        if (load->resume)
            secure_keep(&load->secure, connection->ssl);
        drop(load, connection);
        begin(load, connection);
    } else
        send_next(load, connection, time);
}

/* Send what has become due on connections that rest; the others do it by themselves. */
static void send_due(struct load *load, double time) {
    while (load->paced_from + (double) load->scheduled / load->rate <= time) {
        struct connection *connection = &load->all[load->scheduled++ % load->connections];

        if (connection->state != RESTING)
            continue;
        connection->state = EXCHANGING;
        load->exchanging++;
        send_next(load, connection, time);
    }
}

static void compare(struct load *load, struct connection *connection, size_t length) {
    const char *expected = message_of(load, connection) + connection->got;
    size_t at = 0;

    if (connection->got + length > connection->sent || connection->state == RESTING)
        fail(load, connection, "more bytes came back than were sent");
    else if (memcmp(load->buffer, expected, length) == 0)
        connection->got += length;
    else {
        while (load->buffer[at] == expected[at])
            at++;
        fail(load, connection, "wrong byte at %zu of %zu", connection->got + at, load->size);
    }
}

static void receive(struct load *load, struct connection *connection) {
    ssize_t length = obtain(load, connection);

    if (length == SECURE_AGAIN)
        return;
    if (length < 0)
        fail(load, connection, "could not receive: %s", reason(connection));
    else if (length == 0)
        fail(load, connection, "closed by the server after %zu of %zu bytes", connection->got,
             load->size);
    else
        compare(load, connection, length);
    if (connection->state == EXCHANGING && connection->got == load->size)
        complete(load, connection);
}

/* --- connecting --- */

static void begin(struct load *load, struct connection *connection) {
    int family = load->address.name.ss_family, one = 1;

    connection->fd = socket(family, SOCK_STREAM, 0);
    connection->state = CONNECTING;
    connection->since = connection->sent_at = now();
    load->connecting++;
    if (connection->fd < 0) {
        fail(load, connection, "could not make a socket: %s", strerror(errno));
        return;
    }
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    if (family != AF_UNIX)
        setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(connection->fd, (struct sockaddr *) &load->address.name, load->address.length) <
            0 &&
        errno != EINPROGRESS) {
        fail(load, connection, "could not connect: %s", strerror(errno));
        return;
    }
    connection->writing = true;
    if (watch_add(&load->watch, connection->fd, (int) (connection - load->all), true) < 0)
        fail(load, connection, "could not watch a socket: %s", strerror(errno));
}

/* The first message may be sent. */
static void establish(struct load *load, struct connection *connection) {
    connection->state = EXCHANGING;
    load->connecting--;
    load->exchanging++;
    load->open++;
    if (load->rate > 0) {
        watch_writing(load, connection, false);
        rest(load, connection);
    } else
        send_next(load, connection, now());
}

static void shake(struct load *load, struct connection *connection) {
    ssize_t result = secure_shake(connection->ssl);

    if (result > 0)
        establish(load, connection);
    else if (result == SECURE_AGAIN)
        watch_writing(load, connection, SSL_want_write(connection->ssl));
    else
        fail(load, connection, "could not shake hands: %s", secure_reason());
}

static void connected(struct load *load, struct connection *connection) {
    int error = 0;
    socklen_t length = sizeof error;

    getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &length);
    if (error != 0) {
        fail(load, connection, "could not connect: %s", strerror(error));
        return;
    }
    if (!load->tls) {
        establish(load, connection);
        return;
    }
    connection->state = SHAKING;
    connection->resumes = load->secure.session != NULL;
    connection->ssl = secure_start(&load->secure, connection->fd);
    if (connection->ssl == NULL)
        fail(load, connection, "could not begin TLS: %s", secure_reason());
    else
        shake(load, connection);
}

/* --- phases --- */

static void progress(struct load *load, const char *phase, double time) {
    fprintf(stderr, "progress %s %.3f %d %llu\n", phase, time - load->phase_began, load->open,
            (unsigned long long) load->requests);
    load->next_progress = time + PROGRESS_EVERY;
}

static void leave_phase(struct load *load, double time) {
    if (load->phase == MEASURE) {
        load->measured = load->requests;
        load->measured_seconds = time - load->phase_began;
    }
}

static void enter_phase(struct load *load, enum phase phase, double time) {
    leave_phase(load, time);
    load->phase = phase;
    load->phase_began = time;
    load->requests = 0;
    progress(load, PHASES[phase], time);
}

static void next_phase(struct load *load, double time) {
    double elapsed = time - load->phase_began;

    if (load->phase == CONNECT && load->begun == load->connections &&
        (load->connecting == 0 || load->fresh)) {
        load->paced_from = time;
        enter_phase(load, WARM_UP, time);
    } else if (load->phase == WARM_UP && elapsed >= load->warmup)
        enter_phase(load, MEASURE, time);
    else if (load->phase == MEASURE && elapsed >= load->seconds)
        enter_phase(load, FINISH, time);
}

static void fail_late_ones(struct load *load, double time) {
    for (int i = 0; i < load->begun; i++) {
        struct connection *connection = &load->all[i];

        if (connection->state == CLOSED || connection->state == RESTING ||
            time - connection->sent_at < load->timeout)
            continue;
        if (connection->state == CONNECTING || connection->state == SHAKING)
            fail(load, connection, "could not connect in %g seconds", load->timeout);
        else
            fail(load, connection, "only %zu of %zu bytes came back in %g seconds", connection->got,
                 load->size, load->timeout);
    }
}

static void turn(struct load *load) {
    int found = watch_wait(&load->watch, load->rate > 0 ? PACED_TICK_MS : TICK_MS);

    for (int i = 0; i < found; i++) {
        struct ready *ready = &load->watch.ready[i];
        struct connection *connection = &load->all[ready->number];

        if (connection->state == CONNECTING)
            connected(load, connection);
        else if (connection->state == SHAKING)
            shake(load, connection);
        else {
            if (ready->writable)
                send_more(load, connection);
            if (ready->readable && connection->state != CLOSED)
                receive(load, connection);
        }
    }
}

static void run(struct load *load) {
    double time = now();

    enter_phase(load, CONNECT, time);
    while (load->phase != FINISH || load->exchanging + load->connecting > 0) {
        while (load->begun < load->connections && load->connecting < BATCH)
            begin(load, &load->all[load->begun++]);
        if (load->begun == load->connections && load->connecting + load->open == 0)
            break; /* none is left */
        turn(load);
        time = now();
        next_phase(load, time);
        if (load->rate > 0 && load->paced_from > 0 && load->phase != FINISH)
            send_due(load, time);
        if (time >= load->next_progress) {
            fail_late_ones(load, time);
            progress(load, PHASES[load->phase], time);
        }
    }
    leave_phase(load, time);
}

static void report(const struct load *load) {
    printf("{\"requests\": %llu, \"seconds\": %.6f, ", (unsigned long long) load->measured,
           load->measured_seconds);
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, ",
           latency_quantile(&load->latency, 0.5), latency_quantile(&load->latency, 0.9),
           latency_quantile(&load->latency, 0.99), latency_quantile(&load->latency, 0.999));
    printf("\"resumed\": %llu, \"refused\": %llu, ", (unsigned long long) load->resumed,
           (unsigned long long) load->refused);
    printf("\"errors\": %llu, \"first_error\": \"%s\"}\n", (unsigned long long) load->errors,
           load->first_error);
}

/* --- options --- */

static double parse_number(const char *text, double least) {
    char *end;
    double value = strtod(text, &end);

    if (*text == '\0' || *end != '\0' || !(value >= least && value <= 1e9))
        refuse("what follows ADDRESS are numbers, CONNECTIONS and SIZE from 1");
    return value;
}

static void parse_word(struct load *load, const char *word) {
    if (strncmp(word, "tls", 3) == 0)
        load->tls = true;
    if (strcmp(word, "tls1.2") == 0)
        load->version = TLS1_2_VERSION;
    else if (strcmp(word, "tls1.3") == 0)
        load->version = TLS1_3_VERSION;
    else if (strcmp(word, "fresh") == 0)
        load->fresh = true;
    else if (strcmp(word, "resume") == 0)
        load->resume = true;
    else if (strcmp(word, "tls") != 0)
        refuse("what follows RATE are tls, tls1.2, tls1.3, fresh and resume");
}

static void parse(struct load *load, int argc, char **argv) {
    const char *wrong;

    if (argc < 7)
        refuse("usage: load ADDRESS CONNECTIONS SIZE SECONDS WARMUP TIMEOUT [RATE [WORD ...]]");
    wrong = address_parse(&load->address, argv[1]);
    if (wrong != NULL)
        refuse(wrong);
    load->connections = (int) parse_number(argv[2], 1);
    load->size = (size_t) parse_number(argv[3], 1);
    load->seconds = parse_number(argv[4], 0);
    load->warmup = parse_number(argv[5], 0);
    load->timeout = parse_number(argv[6], 0);
    load->rate = argc > 7 ? parse_number(argv[7], 0) : 0;
    for (int i = 8; i < argc; i++)
        parse_word(load, argv[i]);
    if (load->fresh && load->rate > 0)
        refuse("a new connection for each message has no RATE");
    if (load->resume && !load->tls)
        refuse("only TLS has sessions");
}

static void fill(char *text, size_t length) {
    uint32_t random = 2463534242u; /* xorshift32: the same text in each run */

    for (size_t i = 0; i < length; i++) {
        random ^= random << 13;
        random ^= random >> 17;
        random ^= random << 5;
        text[i] = (char) (random >> 24);
    }
}

int main(int argc, char **argv) {
    static struct load load;

    parse(&load, argc, argv);
    if (load.tls && !secure_open(&load.secure, load.version))
        refuse(secure_reason());
    load.all = calloc(load.connections, sizeof *load.all);
    load.text = malloc(load.size + SHIFTS);
    load.buffer = malloc(BUFFER);
    if (load.all == NULL || load.text == NULL || load.buffer == NULL ||
        !watch_open(&load.watch, load.connections))
        refuse("out of memory or of file descriptors");
    fill(load.text, load.size + SHIFTS);
    signal(SIGPIPE, SIG_IGN);
    run(&load);
    report(&load);
    return load.errors > 0;
}
