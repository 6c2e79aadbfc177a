#include "data/problems.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Paths and messages quote what was read: long or odd bytes there must not reach a terminal. */
#define TEXT_MAX 600

void problems_done(struct problems *problems)
{
    for (size_t i = 0; i < problems->n; i++) {
        free(problems->list[i].path);
        free(problems->list[i].message);
    }
    free(problems->list);
    *problems = PROBLEMS_INIT;
}

/* Of ASCII, or U+0080 to U+009F, by which some terminals take commands, too. */
static bool is_control(const char *p)
{
    const unsigned char *b = (const unsigned char *)p;

    return b[0] < 0x20 || b[0] == 0x7f || (b[0] == 0xc2 && b[1] >= 0x80 && b[1] < 0xa0);
}

/* A copy without control characters, cut at TEXT_MAX bytes but never inside a UTF-8 sequence. */
static char *printable(const char *text)
{
    size_t len = strnlen(text, TEXT_MAX);
    char *copy;

    while (text[len] && len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
        len--;
    copy = strndup(text, len);
    for (char *p = copy; p && *p; p++)
        if (is_control(p)) {
            if (*p == '\xc2') /* two bytes, two marks: still UTF-8 */
                *p++ = '?';
            *p = '?';
        }
    return copy;
}

static int append(struct problems *problems, const char *path, const char *message)
{
    struct problem *list = reallocarray(problems->list, problems->n + 1, sizeof *problems->list);
    struct problem problem = {.path = printable(path), .message = printable(message)};

    if (list)
        problems->list = list;
    if (!list || !problem.path || !problem.message) {
        free(problem.path);
        free(problem.message);
        return -1;
    }
    list[problems->n++] = problem;
    return 0;
}

void problems_add(struct problems *problems, const char *path, const char *fmt, ...)
{
    cleanup_free char *message = NULL;
    va_list ap;

    problems->total++;
    if (problems->n >= PROBLEMS_MAX)
        return;
    va_start(ap, fmt);
    if (vasprintf(&message, fmt, ap) < 0)
        message = NULL;
    va_end(ap);
    if (message)
        append(problems, path, message);
}

void problems_print(const struct problems *problems, const char *file, struct buf *to)
{
    for (size_t i = 0; i < problems->n; i++) {
        const struct problem *p = &problems->list[i];

        if (file && *file)
            buf_addf(to, "%s:", file);
        if (p->line)
            buf_addf(to, "%d:%d:", p->line, p->column);
        if ((file && *file) || p->line)
            buf_addc(to, ' ');
        if (*p->path)
            buf_addf(to, "%s: ", p->path);
        buf_addf(to, "%s\n", p->message);
    }
    if (problems->total > problems->n)
        buf_addf(to, "... and %zu more\n", problems->total - problems->n);
}
