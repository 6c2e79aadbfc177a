#include "policy.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"

#define HEADS "refs/heads/"
#define TAGS "refs/tags/"

void push_done(struct push *push)
{
    free(push->commands);
    *push = PUSH_INIT;
}

/* ---- parsing ---- */

/* Copies the object id at the start of `text`; the number of its digits, or 0. */
static size_t take_oid(const char *text, size_t len, char to[OID_HEX_MAX + 1])
{
    size_t n = 0;

    while (n < len && n <= OID_HEX_MAX &&
           ((text[n] >= '0' && text[n] <= '9') || (text[n] >= 'a' && text[n] <= 'f')))
        n++;
    if (n != 40 && n != 64)
        return 0;
    memcpy(to, text, n);
    to[n] = '\0';
    return n;
}

static bool all_zero(const char *oid)
{
    return oid[strspn(oid, "0")] == '\0';
}

/* An upstream that keeps its refs otherwise may take longer ones, and no gate could mirror it then:
 * a part is a file's name here, with ".lock" behind it. */
static bool component_valid(const char *text, size_t len)
{
    return len > 0 && len <= PUSH_COMPONENT_MAX && text[0] != '.' &&
           !(len >= 5 && memcmp(text + len - 5, ".lock", 5) == 0);
}

bool ref_name_valid(const char *ref, size_t len)
{
    size_t start = 0;

    if (len > PUSH_REF_MAX || len < 6 || memcmp(ref, "refs/", 5) != 0 || ref[len - 1] == '.')
        return false;
    for (size_t i = 0; i <= len; i++) {
        if (i == len || ref[i] == '/') {
            if (!component_valid(ref + start, i - start))
                return false;
            start = i + 1;
            continue;
        }
        if ((unsigned char)ref[i] <= 0x20 || ref[i] == 0x7f || strchr("~^:?*[\\", ref[i]))
            return false;
        if (i > 0 && ((ref[i] == '.' && ref[i - 1] == '.') || (ref[i] == '{' && ref[i - 1] == '@')))
            return false;
    }
    return true;
}

static int parse_command(const char *line, size_t len, struct push_command *to)
{
    size_t digits = take_oid(line, len, to->old_oid), rest = 2 * digits + 2;

    if (!digits || len <= rest || line[digits] != ' ' ||
        take_oid(line + digits + 1, len - digits - 1, to->new_oid) != digits ||
        line[rest - 1] != ' ' || !ref_name_valid(line + rest, len - rest))
        return -EINVAL;
    memcpy(to->ref, line + rest, len - rest);
    to->ref[len - rest] = '\0';
    if (all_zero(to->new_oid))
        to->change = CHANGE_DELETE;
    else
        to->change = all_zero(to->old_oid) ? CHANGE_CREATE : CHANGE_UPDATE;
    return all_zero(to->new_oid) && all_zero(to->old_oid) ? -EINVAL : 0;
}

int push_add(struct push *push, const char *line, size_t len, struct error *err)
{
    struct push_command command, *list;

    if (push->n == PUSH_COMMANDS_MAX)
        return error_set(err, -E2BIG, "more than %d refs in one push; push them in parts",
                         PUSH_COMMANDS_MAX);
    if (parse_command(line, len, &command) < 0)
        return error_set(err, -EINVAL,
                         "a command of this push can't be understood: not two object ids and the "
                         "full name of a ref that git allows, of at most %d bytes between slashes",
                         PUSH_COMPONENT_MAX);
    for (size_t i = 0; i < push->n; i++)
        if (strcmp(push->commands[i].ref, command.ref) == 0)
            return error_set(err, -EINVAL, "a ref is named twice in this push");
    list = realloc(push->commands, (push->n + 1) * sizeof *list);
    if (!list)
        return error_errno(err, -ENOMEM, "cannot read the push");
    push->commands = list;
    list[push->n++] = command;
    return 0;
}

int push_parse(const char *text, size_t len, struct push *push, struct error *err)
{
    while (len > 0) {
        const char *end = memchr(text, '\n', len);
        size_t line = end ? (size_t)(end - text) : len;
        int r = push_add(push, text, line, err);

        if (r < 0)
            return r;
        line += end ? 1 : 0;
        text += line;
        len -= line;
    }
    return push->n ? 0 : error_set(err, -EINVAL, "this push names no ref");
}

/* ---- patterns ---- */

struct variable {
    const char *text;
    size_t offset;
};

static const struct variable variables[] = {
    {"$(POD_NAME)", offsetof(struct push_vars, pod_name)},
    {"$(POD_NAMESPACE)", offsetof(struct push_vars, pod_namespace)},
    {"$(SERVICE_ACCOUNT)", offsetof(struct push_vars, service_account)},
};

static const struct variable *variable_at(const char *pattern)
{
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        if (text_starts(pattern, variables[i].text))
            return &variables[i];
    return NULL;
}

#define EXPANDED_MAX (2 * PUSH_REF_MAX) /* a longer one matches no ref */

/* The pattern with its variables filled in: characters, and which of them are wildcards. */
struct expanded {
    char text[EXPANDED_MAX];
    bool wild[EXPANDED_MAX];
    size_t len;
};

static bool expand_add(struct expanded *to, char c, bool wild)
{
    if (to->len == EXPANDED_MAX)
        return false;
    to->text[to->len] = c;
    to->wild[to->len++] = wild;
    return true;
}

static bool expand(const char *pattern, const struct push_vars *vars, struct expanded *to)
{
    const char *p = pattern;

    to->len = 0;
    while (*p) {
        const struct variable *variable = variable_at(p);
        const char *value;

        if (!variable) {
            if (*p == '$' || !expand_add(to, *p, *p == '*'))
                return false;
            p++;
            continue;
        }
        value = *(const char *const *)((const char *)vars + variable->offset);
        if (!value || !*value)
            return false;
        for (; *value; value++)
            if (!expand_add(to, *value, false))
                return false;
        p += strlen(variable->text);
    }
    return true;
}

/* Back to the last wildcard on a mismatch: linear in pattern times text, whatever they are. */
static bool glob(const struct expanded *pattern, const char *text)
{
    size_t p = 0, t = 0, len = strlen(text), star = SIZE_MAX, resume = 0;

    while (t < len) {
        if (p < pattern->len && pattern->wild[p]) {
            star = p++;
            resume = t;
        } else if (p < pattern->len && pattern->text[p] == text[t]) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++resume;
        } else {
            return false;
        }
    }
    while (p < pattern->len && pattern->wild[p])
        p++;
    return p == pattern->len;
}

bool pattern_matches(const char *pattern, const char *text, const struct push_vars *vars)
{
    struct expanded expanded;

    return expand(pattern, vars, &expanded) && glob(&expanded, text);
}

/* ---- as JSON ---- */

/* Quotes are escaped, and what stands around the values. */
#define PUSH_LISTED_FRAME 40

json_t *push_list(const struct push *push, size_t *from)
{
    json_t *list = *from < push->n ? json_array() : NULL;

    for (size_t bytes = 0; list && *from < push->n; (*from)++) {
        const struct push_command *c = &push->commands[*from];
        cleanup_buf struct buf ref = BUF_INIT(PUSH_REF_MAX);

        printable(&ref, c->ref, strlen(c->ref));
        bytes += 2 * ref.len + 2 * strlen(c->new_oid) + PUSH_LISTED_FRAME;
        if (bytes > PUSH_LISTED_MAX && json_array_size(list) > 0)
            break;
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "ref", ref.data, "old", c->old_oid,
                                              "new", c->new_oid));
    }
    return list;
}

/* ---- verdict ---- */

void printable(struct buf *to, const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        buf_addc(to, text[i] >= 0x20 && text[i] < 0x7f ? text[i] : '?');
}

#define NAME_SHOWN 300 /* of a sentence that has to fit ERROR_MSG_MAX */

static int refuse_name(const char *name, const char *why, struct error *err)
{
    cleanup_buf struct buf shown = BUF_INIT(NAME_SHOWN);

    printable(&shown, name, strnlen(name, NAME_SHOWN));
    return error_set(err, -EACCES, "%s: %s", shown.data, why);
}

static int refuse(const struct push_command *command, const char *why, struct error *err)
{
    return refuse_name(command->ref, why, err);
}

/* With variables filled in: what the client may really push to. */
static void add_pattern(struct buf *to, const char *pattern, const struct push_vars *vars)
{
    struct expanded expanded;

    if (expand(pattern, vars, &expanded))
        printable(to, expanded.text, expanded.len);
    else
        buf_addf(to, "%s (a variable is not known here: matches nothing)", pattern);
}

static int refuse_for(const struct policy *policy, const char *name, const char *why_not,
                      const char **allowed, struct error *err)
{
    cleanup_buf struct buf why = BUF_INIT(ERROR_MSG_MAX - NAME_SHOWN - 2);

    buf_adds(&why, why_not);
    for (const char **p = allowed; *p; p++) {
        buf_adds(&why, p == allowed ? " " : ", ");
        add_pattern(&why, *p, &policy->vars);
    }
    return refuse_name(name, why.data, err);
}

static bool matches_any(const struct policy *policy, const char **patterns, const char *text)
{
    for (const char **p = patterns; *p; p++)
        if (pattern_matches(*p, text, &policy->vars))
            return true;
    return false;
}

static bool is_default(const struct policy *policy, const struct push_command *command)
{
    return strcmp(policy->default_ref, command->ref) == 0;
}

int policy_judge(const struct policy *policy, const struct push_command *command, struct error *err)
{
    if (!policy->push->allow)
        return refuse(command, "this upstream is read-only here (push.policy is Deny)", err);
    if ((!text_starts(command->ref, HEADS) && !text_starts(command->ref, TAGS)) ||
        !matches_any(policy, policy->push->refs, command->ref))
        return refuse_for(policy, command->ref, "may not be pushed to; allowed are",
                          policy->push->refs, err);
    if (command->change != CHANGE_DELETE)
        return 0;
    if (is_default(policy, command))
        return refuse(command, "is the upstream's default branch, which is never deleted", err);
    if (!policy->push->allow_delete)
        return refuse(command, "may not be deleted here (push.allowDelete is false)", err);
    return 0;
}

bool policy_needs_ancestry(const struct policy *policy, const struct push_command *command)
{
    return command->change == CHANGE_UPDATE &&
           (!policy->push->allow_force || is_default(policy, command));
}

int policy_judge_forced(const struct policy *policy, const struct push_command *command,
                        struct error *err)
{
    if (is_default(policy, command))
        return refuse(command,
                      "is the upstream's default branch, which is never forced; fetch, then merge "
                      "or rebase",
                      err);
    if (text_starts(command->ref, TAGS))
        return refuse(command, "exists already and may not be moved (push.allowForce is false)",
                      err);
    return refuse(command,
                  "is not a fast-forward and may not be forced (push.allowForce is false); fetch, "
                  "then merge or rebase",
                  err);
}

int policy_judge_option(const struct policy *policy, const char *option, struct error *err)
{
    const char **allowed = policy->push->options;

    if (!allowed || matches_any(policy, allowed, option))
        return 0;
    if (!*allowed)
        return refuse_name(option, "is a push option, and push.options is empty: none is handed on",
                           err);
    return refuse_for(policy, option,
                      "is a push option that push.options does not name; allowed are", allowed,
                      err);
}
