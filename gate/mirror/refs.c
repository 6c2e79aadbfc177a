#include "mirror/refs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gate.h"

void refs_done(struct refs *refs)
{
    free(refs->lines);
    buf_done(&refs->text);
}

/* Below it, or the name itself: where a ref has it, none can be below. */
static bool ours(const char *name)
{
    size_t len = strlen(OWN_REFS);

    return strncmp(name, OWN_REFS, len) == 0 && (name[len] == '/' || name[len] == '\0');
}

static void take_head(struct refs *refs, const char *value, const char *name)
{
    const char *symref = strncmp(value, "ref: ", 5) == 0 ? value + 5 : NULL;

    if (strcmp(name, "HEAD") != 0)
        return;
    if (symref && strncmp(symref, "refs/heads/", 11) == 0)
        snprintf(refs->head, sizeof refs->head, "%s", symref);
    else if (!symref)
        snprintf(refs->head_oid, sizeof refs->head_oid, "%s", value);
}

static void take_line(struct refs *refs, char *line)
{
    char *name = strchr(line, '\t');
    size_t len;

    if (!name)
        return;
    *name++ = '\0';
    len = strlen(name);
    take_head(refs, line, name);
    /* An upstream may list what is no ref to git, which then does not fetch it; so are a tag's
     * "^{}" and HEAD. */
    if (ours(name) || !ref_name_valid(name, len))
        return;
    buf_addf(&refs->text, "%s %s", name, line);
    buf_addc(&refs->text, '\0');
    refs->n++;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int refs_parse(char *list, struct refs *refs, struct error *err)
{
    char *at;

    for (char *line = list, *end; *line; line = end) {
        end = line + strcspn(line, "\n");
        if (*end)
            *end++ = '\0';
        take_line(refs, line);
    }
    refs->lines = calloc(refs->n + 1, sizeof *refs->lines);
    if (!refs->lines || buf_error(&refs->text))
        return error_errno(err, -ENOMEM, "cannot list the refs");
    at = refs->text.data;
    for (size_t i = 0; i < refs->n; i++, at += strlen(at) + 1)
        refs->lines[i] = at;
    qsort(refs->lines, refs->n, sizeof *refs->lines, compare_lines);
    return 0;
}

bool refs_equal(const struct refs *a, const struct refs *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->lines[i], b->lines[i]) != 0)
            return false;
    return true;
}

static bool has_line(const struct refs *refs, const char *line)
{
    return bsearch(&line, refs->lines, refs->n, sizeof line, compare_lines);
}

const char *refs_left_out(const struct refs *before, const struct refs *after,
                          const struct refs *mine)
{
    for (size_t i = 0; i < before->n; i++) {
        const char *line = before->lines[i];

        if ((strncmp(line, "refs/heads/", 11) == 0 || strncmp(line, "refs/tags/", 10) == 0) &&
            has_line(after, line) && !has_line(mine, line))
            return line;
    }
    return NULL;
}

/* A space sorts before all that a ref's name may hold, so lines are in the order of their names. */
static int compare_names(const char *a, const char *b)
{
    size_t a_len = strcspn(a, " "), b_len = strcspn(b, " ");
    int r = memcmp(a, b, a_len < b_len ? a_len : b_len);

    return r ? r : (a_len > b_len) - (a_len < b_len);
}

size_t refs_delete_gone(const struct refs *mine, const struct refs *theirs, struct buf *to)
{
    size_t n = 0, there = 0;

    for (size_t i = 0; i < mine->n; i++) {
        const char *line = mine->lines[i];

        while (there < theirs->n && compare_names(theirs->lines[there], line) < 0)
            there++;
        if (there < theirs->n && compare_names(theirs->lines[there], line) == 0)
            continue;
        buf_adds(to, "delete ");
        buf_add(to, line, strcspn(line, " "));
        buf_add(to, "\0", 2); /* no old value: not verified */
        n++;
    }
    return n;
}
