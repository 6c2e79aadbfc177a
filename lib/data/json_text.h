/* The tokens of JSON text (RFC 8259), read in place, and strings written as JSON. */
#ifndef GITGATE_DATA_JSON_TEXT_H
#define GITGATE_DATA_JSON_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct json_text {
    char *start, *at, *end;
    const char *problem; /* set by json_text_fail: "is not JSON" */
};

#define JSON_TEXT_NOT_JSON "is not JSON"
#define JSON_TEXT_END (-1)

/* -EINVAL, with `problem` remembered. */
int json_text_fail(struct json_text *text, const char *problem);

/* The next byte behind white space, not taken; or JSON_TEXT_END. */
int json_text_peek(struct json_text *text);
/* Takes it; -EINVAL when it is another. */
int json_text_expect(struct json_text *text, char c);
int json_text_word(struct json_text *text, const char *word);
/* As it stands. */
int json_text_number(struct json_text *text, const char **ret, uint32_t *len);
/* Unescaped in place and NUL-terminated (over the closing quote). Bytes that are not UTF-8, control
 * characters, NUL and lone surrogates are refused. */
int json_text_string(struct json_text *text, const char **ret, uint32_t *len);

/* RFC 3629: no surrogates, nothing overlong. */
bool json_text_is_utf8(const char *text, size_t len);

/* Adds `text` as a JSON string, quotes included; bytes that are not UTF-8 become U+FFFD. */
void json_text_write(struct buf *to, const char *text, size_t len);

#endif
