#include "pushed.h"

#include <stdio.h>
#include <string.h>

#define THEIRS "[remote rejected]"
#define SILENT "[remote failure]" /* the connection held, but no word came for this ref */

static bool starts(const char *text, size_t len, const char *with)
{
    return len >= strlen(with) && memcmp(text, with, strlen(with)) == 0;
}

/* What stands in the last parentheses of a summary: "[remote rejected] (hook declined)". */
static void take_reason(const char *summary, size_t len, char *to)
{
    const char *open = memrchr(summary, '(', len);
    const char *close = memrchr(summary, ')', len);
    cleanup_buf struct buf text = BUF_INIT(PUSHED_REASON_MAX - 1);

    if (open && close > open)
        printable(&text, open + 1, (size_t)(close - open - 1));
    if (strcmp(text.data, "stale info") == 0)
        snprintf(to, PUSHED_REASON_MAX,
                 "the upstream's ref moved meanwhile; fetch, then push again");
    else
        snprintf(to, PUSHED_REASON_MAX, "%s%.*s", starts(summary, len, THEIRS) ? "upstream: " : "",
                 PUSHED_REASON_MAX - 20, text.len ? text.data : "rejected");
}

static size_t find_command(const struct push *push, const char *ref, size_t len)
{
    for (size_t i = 0; i < push->n; i++)
        if (strncmp(push->commands[i].ref, ref, len) == 0 && push->commands[i].ref[len] == '\0')
            return i;
    return push->n;
}

static void take_line(const struct push *push, const char *line, size_t len, struct pushed *each)
{
    const char *colon, *tab, *end = line + len;
    size_t i;

    if (len < 4 || line[1] != '\t')
        return;
    colon = memchr(line + 2, ':', len - 2); /* neither an object id nor a ref name has one */
    tab = colon ? memchr(colon, '\t', (size_t)(end - colon)) : NULL;
    if (!tab)
        return;
    i = find_command(push, colon + 1, (size_t)(tab - colon - 1));
    if (i == push->n)
        return;
    if (line[0] != '!') {
        each[i] = (struct pushed){.state = PUSHED_TAKEN};
    } else if (!starts(tab + 1, (size_t)(end - tab - 1), SILENT)) {
        each[i].state = PUSHED_REFUSED;
        take_reason(tab + 1, (size_t)(end - tab - 1), each[i].reason);
    }
}

void pushed_read(const struct push *push, const char *answer, struct pushed *each)
{
    for (const char *line = answer, *end; *line; line = *end ? end + 1 : end) {
        end = line + strcspn(line, "\n");
        take_line(push, line, (size_t)(end - line), each);
    }
}

bool pushed_all(const struct push *push, const struct pushed *each)
{
    for (size_t i = 0; i < push->n; i++)
        if (each[i].state != PUSHED_TAKEN)
            return false;
    return true;
}

/* Whether the list ("<id>\t<name>" a line) has the command's ref where the command wants it. */
static bool is_there(const struct push_command *command, const char *refs)
{
    size_t ref_len = strlen(command->ref);

    for (const char *line = refs, *end; *line; line = *end ? end + 1 : end) {
        const char *tab;

        end = line + strcspn(line, "\n");
        tab = memchr(line, '\t', (size_t)(end - line));
        if (!tab || (size_t)(end - tab - 1) != ref_len ||
            memcmp(tab + 1, command->ref, ref_len) != 0)
            continue;
        return command->change != CHANGE_DELETE &&
               strlen(command->new_oid) == (size_t)(tab - line) &&
               memcmp(line, command->new_oid, (size_t)(tab - line)) == 0;
    }
    return command->change == CHANGE_DELETE;
}

void pushed_settle(const struct push *push, const char *refs, const char *why, struct pushed *each)
{
    for (size_t i = 0; i < push->n; i++) {
        if (refs && is_there(&push->commands[i], refs))
            each[i] = (struct pushed){.state = PUSHED_TAKEN};
        if (each[i].state != PUSHED_UNKNOWN)
            continue;
        each[i].state = PUSHED_REFUSED;
        snprintf(
            each[i].reason, sizeof each[i].reason, "%.*s; %s", PUSHED_REASON_MAX - 100, why,
            refs ? "the upstream has not got this so far, but may yet: fetch, then push again"
                 : "whether the upstream has got this can't be told now: fetch, then push again");
    }
}
