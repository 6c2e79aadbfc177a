/* Where values stand in JSON text, without a look at what is in them: for text of which one part
 * may be such that nobody reads it.
 *
 * Nothing is changed and nothing recursed, so depth costs nothing. Of text that is no JSON what is
 * found means nothing, but lies within the text. */
#ifndef GITGATE_DATA_JSON_SPAN_H
#define GITGATE_DATA_JSON_SPAN_H

#include <stdbool.h>
#include <stddef.h>

/* A value as it is written, without the white space around it. */
struct json_span {
    char *at; /* NULL: there is none */
    size_t len;
    bool whole; /* false: the text ends in the midst of it */
};

/* The value that begins in text[0..len). */
struct json_span json_span_of(char *text, size_t len);

/* Of an object: the value of its first member that is spelled like that, of a cut one too. */
struct json_span json_span_get(struct json_span object, const char *key);

/* Of an array: the element behind `last`, or the first (NULL at). Where there is none, `whole`
 * tells whether the array ends there. */
struct json_span json_span_next(struct json_span array, struct json_span last);

/* A string of up to size - 1 characters that need no escape, into `to`; false for anything else. */
bool json_span_text(struct json_span value, char *to, size_t size);

#endif
