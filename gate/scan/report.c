#include "scan/report.h"

#include <errno.h>
#include <inttypes.h>
#include <regex.h>
#include <string.h>

#include "lock.h"

#define LINE "gitgate: "
#define SHORT_OID 12 /* what git itself abbreviates large repositories to */

void findings_done(struct findings *findings)
{
    free(findings->list);
    *findings = (struct findings){0};
}

/* ---- allowed ---- */

static bool path_allowed(const char *pattern, const char *path)
{
    regex_t regex;
    bool matches;

    if (!*path || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return false;
    matches = regexec(&regex, path, 0, NULL, 0) == 0;
    regfree(&regex);
    return matches;
}

/* What of a list entry can be told without the fingerprint, which is slow to make. */
static bool entry_may_fit(const json_t *entry, const struct finding *finding, const char **print)
{
    const char *rule = json_string_value(json_object_get(entry, "rule"));
    const char *path = json_string_value(json_object_get(entry, "path"));

    *print = json_string_value(json_object_get(entry, "fingerprint"));
    /* All that the entry names has to fit. */
    return (rule || path || *print) && (!rule || strcmp(rule, finding->rule) == 0) &&
           (!path || path_allowed(path, finding->at.path));
}

static int fill_fingerprint(const struct judge *judge, const struct verdict *verdict,
                            struct finding *finding, struct error *err)
{
    return *finding->fingerprint ? 0 : judge_fingerprint(judge, verdict, finding->fingerprint, err);
}

/* 1 when the GitGate allows it, else 0 or an error. */
static int allowed(const struct scan_policy *policy, const struct judge *judge,
                   const struct verdict *verdict, struct finding *finding, struct error *err)
{
    json_t *entry;
    size_t i;

    json_array_foreach(policy->allow, i, entry) {
        const char *print;
        int r;

        if (!entry_may_fit(entry, finding, &print))
            continue;
        r = print ? fill_fingerprint(judge, verdict, finding, err) : 0;
        if (r < 0)
            return r;
        if (!print || strcmp(print, finding->fingerprint) == 0)
            return 1;
    }
    return 0;
}

/* ---- taking ---- */

/* A path with a secret in it must not be shown beside one of the blob's; nor one that nobody has
 * judged. */
static void withhold_path(const struct judge *judge, const struct verdicts *verdicts,
                          struct location *at)
{
    bool named = judge_suspects(judge, at->path);

    for (size_t i = 0; !named && i < verdicts->n; i++)
        named = origin_names(verdicts->list[i].origin, at->path);
    if (named)
        at->path[0] = '\0';
}

/* What is shown has to be true, and must not hold a secret itself. */
static void confirm(const struct judge *judge, const struct verdicts *verdicts,
                    const struct objects *objects, struct location *at)
{
    if (at->place != PLACE_BLOB && at->place != PLACE_NAME)
        return;
    if (!objects_commit_has(objects, at->commit, at->path, at->object))
        at->commit[0] = '\0';
    withhold_path(judge, verdicts, at);
}

static bool same(const struct finding *a, const struct finding *b)
{
    return strcmp(a->rule, b->rule) == 0 && a->at.place == b->at.place &&
           a->at.line == b->at.line && strcmp(a->member, b->member) == 0 &&
           strcmp(a->at.object, b->at.object) == 0 && strcmp(a->at.commit, b->at.commit) == 0;
}

static struct finding *find_listed(const struct findings *findings, const struct finding *finding)
{
    for (size_t i = 0; i < findings->n; i++)
        if (same(&findings->list[i], finding))
            return &findings->list[i];
    return NULL;
}

/* One match may be seen in several forms of its text: the plainest is told. */
static void prefer_plain(struct finding *known, const struct finding *other)
{
    if (known->byte_known == other->byte_known &&
        (known->byte == other->byte || !known->byte_known) &&
        strlen(other->form) < strlen(known->form))
        known->form = other->form;
}

/* Adds it, unless it is allowed or told already. */
static int take(const struct judge *judge, const struct verdict *verdict,
                const struct objects *objects, const struct scan_policy *policy,
                struct findings *to, struct error *err)
{
    struct finding finding = {
        .rule = verdict->rule,
        .member = verdict->origin->member,
        .form = verdict->origin->form,
        .byte = verdict->offset,
        .byte_known = !verdict->origin->recoded,
    };
    struct finding *known;
    int r;

    objects_locate(objects, verdict->origin->place, verdict->origin->object, verdict->line,
                   &finding.at);
    known = find_listed(to, &finding);
    if (known) {
        prefer_plain(known, &finding);
        return 0;
    }
    r = allowed(policy, judge, verdict, &finding, err);
    if (r != 0)
        return r < 0 ? r : 0;
    if (to->n == FINDINGS_SHOWN) {
        to->more = true;
        return 0;
    }
    r = fill_fingerprint(judge, verdict, &finding, err);
    if (r == 0)
        to->list[to->n++] = finding;
    return r;
}

int findings_take(const struct judge *judge, const struct verdicts *verdicts,
                  const struct objects *objects, const struct scan_policy *policy,
                  uint64_t deadline_ns, struct findings *to, struct error *err)
{
    if (!to->list && !(to->list = calloc(FINDINGS_SHOWN, sizeof *to->list)))
        return error_errno(err, -ENOMEM, "cannot report what was found");
    for (; to->taken < verdicts->n && !to->more; to->taken++) {
        int r = take(judge, &verdicts->list[to->taken], objects, policy, to, err);

        if (r < 0)
            return r;
        if (clock_now_ns() > deadline_ns)
            return error_set(err, -ETIMEDOUT, "the scan took too long (spec.scan.timeout)");
    }
    to->more = to->more || (to->n > 0 && to->taken > VERDICTS_ENOUGH);
    return 0;
}

void findings_confirm(const struct judge *judge, const struct verdicts *verdicts,
                      const struct objects *objects, struct findings *findings)
{
    for (size_t i = 0; i < findings->n; i++)
        confirm(judge, verdicts, objects, &findings->list[i].at);
}

/* ---- printing ---- */

static void print_place(const struct finding *finding, struct buf *to)
{
    const struct location *at = &finding->at;

    switch (at->place) {
    case PLACE_BLOB:
        if (*at->path)
            printable(to, at->path, strlen(at->path));
        else
            buf_addf(to, "blob %.*s", SHORT_OID, at->object);
        if (*finding->member) {
            buf_addc(to, '!');
            printable(to, finding->member, strlen(finding->member));
        }
        buf_addf(to, ", line %u", at->line);
        break;
    case PLACE_COMMIT:
        buf_adds(to, "the message or a header");
        break;
    case PLACE_TAG:
        buf_addf(to, "the tag object %.*s", SHORT_OID, at->object);
        break;
    case PLACE_NAME:
        buf_adds(to, "the name of a file or folder");
        break;
    case PLACE_REF:
        buf_adds(to, "the name of a ref, or a push option");
        break;
    case PLACE_NONE:
        buf_adds(to, "a place that is not known");
        break;
    }
    if (*at->commit)
        buf_addf(to, ", in commit %.*s", SHORT_OID, at->commit);
}

/* Names have no bytes to go to. Of what was UTF-16 only the line is known. */
static void print_byte(const struct finding *finding, struct buf *to)
{
    enum place place = finding->at.place;
    bool has_bytes = place == PLACE_BLOB || place == PLACE_COMMIT || place == PLACE_TAG;

    if (has_bytes && finding->byte_known)
        buf_addf(to, *finding->form ? "; what begins at byte %" PRIu64 : "; byte %" PRIu64,
                 finding->byte);
    if (*finding->form)
        buf_addf(to, " (%s)", finding->form);
}

void findings_print(const struct findings *findings, struct buf *to)
{
    buf_adds(to, LINE "push refused: it holds what reads like a secret. Nothing was sent on.\n");
    for (size_t i = 0; i < findings->n; i++) {
        buf_adds(to, LINE "  rule ");
        printable(to, findings->list[i].rule, strlen(findings->list[i].rule));
        buf_adds(to, ": ");
        print_place(&findings->list[i], to);
        print_byte(&findings->list[i], to);
        buf_addf(to, "; fingerprint %s\n", findings->list[i].fingerprint);
    }
    if (findings->more)
        buf_adds(to, LINE "  and more\n");
    buf_adds(
        to, LINE
        "Take it out of every commit named here (git commit --amend for the last one, "
        "git rebase -i for older ones);\n" LINE
        "a later commit that removes it is not enough. If it is real, revoke it. Then "
        "push again.\n" LINE
        "If it is none, the owner of this GitGate can add the fingerprint, or the rule with the "
        "path, to spec.scan.allow.\n");
}
