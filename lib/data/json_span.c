#include "data/json_span.h"

#include <string.h>

#define SPACE " \t\r\n"

static bool is_one_of(char c, const char *set)
{
    return c && strchr(set, c);
}

static char *skip_space(char *at, const char *end)
{
    while (at < end && is_one_of(*at, SPACE))
        at++;
    return at;
}

/* Behind the closing quote. *whole becomes false where there is none, here as below. */
static char *skip_string(char *at, const char *end, bool *whole)
{
    for (at++; at < end; at++) {
        if (*at == '"')
            return at + 1;
        if (*at == '\\' && end - at > 1)
            at++;
    }
    *whole = false;
    return at;
}

static char *skip_word(char *at, const char *end)
{
    while (at < end && !is_one_of(*at, SPACE ",:[]{}\""))
        at++;
    return at;
}

/* Behind the bracket that closes the one at `at`, of whatever kind. */
static char *skip_container(char *at, const char *end, bool *whole)
{
    size_t depth = 0;

    while (at < end) {
        char c = *at;

        at = c == '"' ? skip_string(at, end, whole) : at + 1;
        depth += c == '{' || c == '[';
        if ((c == '}' || c == ']') && --depth == 0)
            return at;
    }
    *whole = false;
    return at;
}

static struct json_span value_at(char *at, const char *end)
{
    struct json_span value = {.at = skip_space(at, end), .whole = true};
    char *behind = value.at;

    if (value.at == end)
        return (struct json_span){0};
    if (*value.at == '{' || *value.at == '[') {
        behind = skip_container(value.at, end, &value.whole);
    } else if (*value.at == '"') {
        behind = skip_string(value.at, end, &value.whole);
    } else {
        behind = skip_word(value.at, end);
    }
    value.len = (size_t)(behind - value.at);
    return value.len ? value : (struct json_span){0};
}

struct json_span json_span_of(char *text, size_t len)
{
    return value_at(text, text + len);
}

/* What stands behind `at`, past a comma or a colon. */
static struct json_span value_behind(char *at, const char *end, char separator)
{
    at = skip_space(at, end);
    if (at < end && *at == separator)
        at++;
    return value_at(at, end);
}

struct json_span json_span_get(struct json_span object, const char *key)
{
    size_t len = strlen(key);
    struct json_span name, value;
    const char *end;
    char *at;

    if (!object.at || *object.at != '{')
        return (struct json_span){0};
    end = object.at + object.len;
    for (at = object.at + 1;; at = value.at + value.len) {
        name = value_behind(at, end, ',');
        if (!name.at || *name.at != '"')
            return (struct json_span){0};
        value = value_behind(name.at + name.len, end, ':');
        if (!value.at || (name.len == len + 2 && memcmp(name.at + 1, key, len) == 0))
            return value;
    }
}

struct json_span json_span_next(struct json_span array, struct json_span last)
{
    struct json_span next;
    char *end, *at;

    if (!array.at || *array.at != '[')
        return (struct json_span){0};
    end = array.at + array.len;
    at = last.at ? last.at + last.len : array.at + 1;
    next = value_behind(at, end, ',');
    if (!next.at)
        next.whole = array.whole && skip_space(at, end) == end - 1;
    return next;
}

bool json_span_text(struct json_span value, char *to, size_t size)
{
    if (!value.at || !value.whole || *value.at != '"' || value.len - 2 >= size)
        return false;
    for (size_t i = 0; i < value.len - 2; i++) {
        to[i] = value.at[i + 1];
        if (to[i] < 0x20 || to[i] > 0x7e || to[i] == '\\')
            return false;
    }
    to[value.len - 2] = '\0';
    return true;
}
