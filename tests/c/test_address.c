/* Addresses, from text and back. */
#include "turns.h"

#include "csrc/address.h"

static void check_ip(const char *host, int family, const char *text) {
    gv_sockaddr_ip ip;
    gv_address out;

    CHECK_EQ(gv_address_parse(&ip, host, 8080, 0, 0), 0);
    CHECK_EQ(gv_address_format(&out, &ip.any, gv_address_size(&ip)), 0);
    CHECK_EQ(out.family, family);
    CHECK_EQ(out.port, 8080);
    CHECK_EQ(out.length, (int) strlen(text));
    CHECK(memcmp(out.text, text, strlen(text)) == 0);
}

static void numeric_hosts_come_back_in_their_canonical_form(void) {
    check_ip("127.0.0.1", AF_INET, "127.0.0.1");
    check_ip("::1", AF_INET6, "::1");
    check_ip("0:0:0:0:0:0:0:1", AF_INET6, "::1");
    check_ip("2001:DB8::A", AF_INET6, "2001:db8::a");
    check_ip("::ffff:1.2.3.4", AF_INET6, "::ffff:1.2.3.4");
}

static void flow_and_scope_are_kept(void) {
    gv_sockaddr_ip ip;
    gv_address out;

    CHECK_EQ(gv_address_parse(&ip, "fe80::1", 65535, 0xabcde, 7), 0);
    CHECK_EQ(gv_address_format(&out, &ip.any, gv_address_size(&ip)), 0);
    CHECK_EQ(out.port, 65535);
    CHECK_EQ(out.flow, 0xabcde);
    CHECK_EQ(out.scope, 7);
}

static void what_is_no_address_is_refused(void) {
    gv_sockaddr_ip ip;

    CHECK_EQ(gv_address_parse(&ip, NULL, 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "host", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "1.2.3.4 ", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "1:2:3:4:5:6:7:8:9", 1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "::1", -1, 0, 0), UV_EINVAL);
    CHECK_EQ(gv_address_parse(&ip, "::1", 65536, 0, 0), UV_EINVAL);
}

static void check_unix(const char *name, size_t len, size_t given, int length) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    gv_address out;

    memcpy(un.sun_path, name, len);
    CHECK_EQ(gv_address_format(&out, (struct sockaddr *) &un,
                               offsetof(struct sockaddr_un, sun_path) + given),
             0);
    CHECK_EQ(out.family, AF_UNIX);
    CHECK_EQ(out.length, length);
    CHECK(memcmp(out.text, name, (size_t) length) == 0);
}

static void names_of_unix_sockets_end_where_they_end(void) {
    char longest[sizeof(((struct sockaddr_un *) 0)->sun_path)];

    memset(longest, 'x', sizeof(longest));
    check_unix("", 0, 0, 0);       /* it has none */
    check_unix("/tmp/x", 6, 7, 6); /* with its NUL */
    check_unix("/tmp/x", 6, 6, 6); /* without */
    check_unix("\0a\0b", 4, 4, 4); /* abstract: every byte counts */
    check_unix(longest, sizeof(longest), sizeof(longest), (int) sizeof(longest));
    check_unix(longest, sizeof(longest), sizeof(longest) + 1, (int) sizeof(longest));
}

static void other_families_are_told(void) {
    struct sockaddr other = {.sa_family = AF_UNSPEC};
    gv_address out;

    CHECK_EQ(gv_address_format(&out, &other, sizeof(other)), UV_EAFNOSUPPORT);
}

int main(void) {
    numeric_hosts_come_back_in_their_canonical_form();
    flow_and_scope_are_kept();
    what_is_no_address_is_refused();
    names_of_unix_sockets_end_where_they_end();
    other_families_are_told();
    return 0;
}
