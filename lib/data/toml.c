#include "data/toml.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

#define NUMBER_MAX 64 /* characters of a number or a date */
#define SHORT "memory is short"

struct toml {
    const char *at, *end, *name;
    unsigned line, depth, values;
    struct error *err;
};

static int bad(const struct toml *t, const char *what)
{
    return error_set(t->err, -EINVAL, "%s:%u: %s", t->name, t->line, what);
}

/* ---- characters ---- */

static bool next_is(const struct toml *t, const char *text)
{
    size_t len = strlen(text);

    return (size_t)(t->end - t->at) >= len && memcmp(t->at, text, len) == 0;
}

static bool skip(struct toml *t, const char *text)
{
    if (!next_is(t, text))
        return false;
    t->at += strlen(text);
    return true;
}

static char peek(const struct toml *t)
{
    return t->at < t->end ? *t->at : '\0';
}

static void skip_blanks(struct toml *t)
{
    while (peek(t) == ' ' || peek(t) == '\t')
        t->at++;
}

static bool skip_newline(struct toml *t)
{
    if (!skip(t, "\n") && !skip(t, "\r\n"))
        return false;
    t->line++;
    return true;
}

static void skip_comment(struct toml *t)
{
    skip_blanks(t);
    if (peek(t) == '#')
        while (t->at < t->end && *t->at != '\n' && !next_is(t, "\r\n"))
            t->at++;
}

/* Blanks, line ends and comments: what may stand between the values of an array. */
static void skip_space(struct toml *t)
{
    do
        skip_comment(t);
    while (skip_newline(t));
}

/* ---- strings ---- */

static void add_utf8(struct buf *to, unsigned long c)
{
    if (c < 0x80) {
        buf_addc(to, (char)c);
    } else if (c < 0x800) {
        buf_addc(to, (char)(0xc0 | c >> 6));
        buf_addc(to, (char)(0x80 | (c & 0x3f)));
    } else {
        if (c >= 0x10000) {
            buf_addc(to, (char)(0xf0 | c >> 18));
            buf_addc(to, (char)(0x80 | (c >> 12 & 0x3f)));
        } else {
            buf_addc(to, (char)(0xe0 | c >> 12));
        }
        buf_addc(to, (char)(0x80 | (c >> 6 & 0x3f)));
        buf_addc(to, (char)(0x80 | (c & 0x3f)));
    }
}

static int escaped_rune(struct toml *t, size_t digits, struct buf *to)
{
    char hex[9] = "", *end;
    unsigned long c;

    if ((size_t)(t->end - t->at) < digits)
        return bad(t, "the string does not end");
    memcpy(hex, t->at, digits);
    c = strtoul(hex, &end, 16);
    if (end != hex + digits || !isxdigit((unsigned char)hex[0]) || c > 0x10ffff ||
        (c >= 0xd800 && c < 0xe000) || c == 0)
        return bad(t, "no such character");
    t->at += digits;
    add_utf8(to, c);
    return 0;
}

static int escape(struct toml *t, bool multi, struct buf *to)
{
    static const char from[] = "btnfr\"\\", into[] = "\b\t\n\f\r\"\\";
    char c = peek(t);
    const char *known = c ? strchr(from, c) : NULL;

    if (known) {
        buf_addc(to, into[known - from]);
        t->at++;
        return 0;
    }
    if (skip(t, "u"))
        return escaped_rune(t, 4, to);
    if (skip(t, "U"))
        return escaped_rune(t, 8, to);
    skip_blanks(t);
    if (!multi || !skip_newline(t))
        return bad(t, "no such escape in a string");
    do
        skip_blanks(t);
    while (skip_newline(t));
    return 0;
}

/* Behind the opening quotes; `close` ends it. */
static int string_body(struct toml *t, const char *close, struct buf *to)
{
    bool multi = close[1], literal = close[0] == '\'';
    int r = 0;

    if (multi)
        skip_newline(t);
    while (r == 0) {
        if (t->at >= t->end)
            return bad(t, "the string does not end");
        if (next_is(t, close)) {
            t->at += strlen(close);
            /* One or two quotes may stand before the closing three. */
            for (int i = 0; multi && i < 2 && peek(t) == *close; i++, t->at++)
                buf_addc(to, *close);
            return 0;
        }
        if (!literal && skip(t, "\\")) {
            r = escape(t, multi, to);
            continue;
        }
        if (skip_newline(t)) {
            if (!multi)
                return bad(t, "a line end in a string of one line");
            buf_addc(to, '\n');
            continue;
        }
        if (*t->at == '\0')
            return bad(t, "a NUL byte in a string");
        buf_addc(to, *t->at++);
    }
    return r;
}

static int string(struct toml *t, bool multi, struct buf *to)
{
    static const char *const quotes[] = {"\"\"\"", "'''", "\"", "'"};

    for (size_t i = multi ? 0 : 2; i < 4; i++)
        if (skip(t, quotes[i])) {
            int r = string_body(t, quotes[i], to);

            return r == 0 && buf_error(to) ? bad(t, "a string is too long") : r;
        }
    return bad(t, "a string is expected here");
}

/* ---- keys ---- */

static bool is_bare(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

static int key(struct toml *t, struct buf *to)
{
    buf_reset(to);
    if (peek(t) == '"' || peek(t) == '\'')
        return string(t, false, to);
    while (is_bare(peek(t)))
        buf_addc(to, *t->at++);
    return to->len ? 0 : bad(t, "a key is expected here");
}

/* The table of that name in `parent`, made where there is none; of an array of tables its last. */
static json_t *descend(struct toml *t, json_t *parent, const char *name)
{
    json_t *child = json_object_get(parent, name);

    if (!child) {
        child = json_object();
        if (json_object_set_new(parent, name, child) == 0)
            return child;
        bad(t, "not UTF-8");
        return NULL;
    }
    if (json_is_array(child) && json_array_size(child) > 0)
        child = json_array_get(child, json_array_size(child) - 1);
    if (json_is_object(child))
        return child;
    bad(t, "a key is used as a table and as a value");
    return NULL;
}

/* "a.b.c": descends to b, and leaves c in `last`. */
static int dotted(struct toml *t, json_t **table, struct buf *last)
{
    for (unsigned depth = 0;; depth++) {
        int r;

        skip_blanks(t);
        r = key(t, last);
        if (r < 0)
            return r;
        skip_blanks(t);
        if (!skip(t, "."))
            return 0;
        if (depth > TOML_DEPTH_MAX)
            return bad(t, "tables lie too deep in one another");
        *table = descend(t, *table, last->data);
        if (!*table)
            return -EINVAL;
    }
}

/* ---- values ---- */

static int value(struct toml *t, json_t **ret);

static int pair(struct toml *t, json_t *table)
{
    cleanup_buf struct buf name = BUF_INIT(TOML_BYTES_MAX);
    json_t *found = NULL;
    int r = dotted(t, &table, &name);

    if (r < 0)
        return r;
    if (!skip(t, "="))
        return bad(t, "\"=\" is expected behind a key");
    skip_blanks(t);
    if (json_object_get(table, name.data))
        return bad(t, "a key stands here twice");
    r = value(t, &found);
    if (r == 0 && json_object_set_new(table, name.data, found) < 0)
        r = bad(t, "not UTF-8");
    return r;
}

static int array(struct toml *t, json_t *to)
{
    for (;;) {
        json_t *item = NULL;
        int r;

        skip_space(t);
        if (skip(t, "]"))
            return 0;
        r = value(t, &item);
        if (r < 0)
            return r;
        if (json_array_append_new(to, item) < 0)
            return bad(t, SHORT);
        skip_space(t);
        if (!skip(t, ",") && peek(t) != ']')
            return bad(t, "\",\" or \"]\" is expected in an array");
    }
}

static int inline_table(struct toml *t, json_t *to)
{
    skip_blanks(t);
    if (skip(t, "}"))
        return 0;
    for (;;) {
        int r = pair(t, to);

        if (r < 0)
            return r;
        skip_blanks(t);
        if (skip(t, "}"))
            return 0;
        if (!skip(t, ","))
            return bad(t, "\",\" or \"}\" is expected in an inline table");
    }
}

/* Digits may be parted by "_". */
static bool to_number(const char *text, json_t **ret)
{
    static const struct {
        const char *prefix;
        int base;
    } bases[] = {{"0x", 16}, {"0o", 8}, {"0b", 2}, {"", 10}};
    size_t i = 0, skipped;
    char *end;
    long long n;
    double d;

    while (strncmp(text, bases[i].prefix, strlen(bases[i].prefix)) != 0)
        i++;
    skipped = strlen(bases[i].prefix);
    errno = 0;
    n = strtoll(text + skipped, &end, bases[i].base);
    if (!*end && errno == 0 && end != text + skipped) {
        *ret = json_integer(n);
        return true;
    }
    d = strtod(text, &end);
    if (skipped || *end || !isfinite(d) || strpbrk(text, "xXpPnN"))
        return false;
    *ret = json_real(d);
    return true;
}

static int bare_value(struct toml *t, json_t **ret)
{
    char text[NUMBER_MAX], plain[NUMBER_MAX];
    size_t n = 0, kept = 0;

    while (is_bare(peek(t)) || (peek(t) && strchr("+.:", peek(t)))) {
        if (n + 1 == sizeof text)
            return bad(t, "no value that TOML knows");
        text[n++] = *t->at++;
    }
    text[n] = '\0';
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *ret = json_boolean(*text == 't');
        return 0;
    }
    for (size_t i = 0; i <= n; i++)
        if (text[i] != '_')
            plain[kept++] = text[i];
    if (n > 0 && to_number(plain, ret))
        return 0;
    if (n >= 8 && isdigit((unsigned char)*text) && strpbrk(text, "-:")) {
        *ret = json_string(text); /* a date or a time */
        return 0;
    }
    return bad(t, "no value that TOML knows");
}

static int nested(struct toml *t, json_t **ret)
{
    json_t *made = peek(t) == '[' ? json_array() : json_object();
    int r;

    if (t->depth == TOML_DEPTH_MAX) {
        json_decref(made);
        return bad(t, "values lie too deep in one another");
    }
    t->depth++;
    r = *t->at++ == '[' ? array(t, made) : inline_table(t, made);
    t->depth--;
    if (r < 0)
        json_decref(made);
    else
        *ret = made;
    return r;
}

static int value(struct toml *t, json_t **ret)
{
    if (++t->values > TOML_VALUES_MAX)
        return bad(t, "too many values");
    if (peek(t) == '"' || peek(t) == '\'') {
        cleanup_buf struct buf text = BUF_INIT(TOML_BYTES_MAX);
        int r = string(t, true, &text);

        if (r < 0)
            return r;
        *ret = json_stringn(text.data, text.len);
        return *ret ? 0 : bad(t, "not UTF-8");
    }
    if (peek(t) == '[' || peek(t) == '{')
        return nested(t, ret);
    return bare_value(t, ret);
}

/* ---- lines ---- */

/* "[a.b]" and "[[a.b]]": the table that the pairs below it go to. */
static int header(struct toml *t, json_t *root, json_t **table)
{
    cleanup_buf struct buf name = BUF_INIT(TOML_BYTES_MAX);
    json_t *parent = root, *list;
    bool many = skip(t, "[[");
    int r;

    if (!many)
        t->at++;
    if (++t->values > TOML_VALUES_MAX)
        return bad(t, "too many values");
    r = dotted(t, &parent, &name);
    if (r < 0)
        return r;
    if (!skip(t, many ? "]]" : "]"))
        return bad(t, "\"]\" is expected behind a table's name");
    if (!many) {
        *table = descend(t, parent, name.data);
        return *table ? 0 : -EINVAL;
    }
    list = json_object_get(parent, name.data);
    if (!list) {
        list = json_array();
        if (json_object_set_new(parent, name.data, list) < 0)
            return bad(t, "not UTF-8");
    }
    if (!json_is_array(list))
        return bad(t, "a key is used as an array of tables and as something else");
    *table = json_object();
    return json_array_append_new(list, *table) < 0 ? bad(t, SHORT) : 0;
}

int toml_parse(const char *text, size_t len, const char *name, json_t **ret, struct error *err)
{
    struct toml t = {.at = text, .end = text + len, .name = name, .line = 1, .err = err};
    json_auto_t *root = json_object();
    json_t *table = root;

    if (!root)
        return error_errno(err, -ENOMEM, "%s", name);
    if (len > TOML_BYTES_MAX)
        return error_set(err, -E2BIG, "%s: larger than %u MiB", name, TOML_BYTES_MAX >> 20);
    skip(&t, "\xef\xbb\xbf"); /* a byte order mark */
    for (;;) {
        int r;

        skip_space(&t);
        if (t.at >= t.end)
            break;
        r = *t.at == '[' ? header(&t, root, &table) : pair(&t, table);
        if (r < 0)
            return r;
        skip_comment(&t);
        if (t.at < t.end && !skip_newline(&t))
            return bad(&t, "a line end is expected here");
    }
    *ret = json_incref(root);
    return 0;
}
