/* Which octets may stand where (RFC 9110 and 9112, RFC 3986). */
#ifndef GV_HTTP_CHARS_H
#define GV_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    GV_CHAR_TOKEN = 1,  /* of a method or a field's name: RFC 9110, section 5.6.2 */
    GV_CHAR_VALUE = 2,  /* of a field's value, blanks included: section 5.5 */
    GV_CHAR_TARGET = 4, /* of a path or a query: RFC 3986, section 3.3; '%' is looked at alone */
    GV_CHAR_HOST = 8,   /* of a host's name: section 3.2.2, the same */
    GV_CHAR_LINE = 16   /* of any line at all: no controls but HTAB */
};

extern const uint8_t gv_chars[256];

static inline bool gv_char_is(char c, int kind) {
    return (gv_chars[(uint8_t) c] & kind) != 0;
}

/* Whether all of text is of that kind. */
bool gv_chars_are(const char *text, size_t len, int kind);

/* The same, and each '%' is followed by two hexadecimal digits. */
bool gv_chars_are_encoded(const char *text, size_t len, int kind);

/* Return the value of a hexadecimal digit, or -1. */
int gv_char_hex(char c);

/* Whether text is `name`, which is in lower case. */
bool gv_chars_equal(const char *text, size_t len, const char *name);

#endif
