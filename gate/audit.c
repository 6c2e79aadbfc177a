#include "audit.h"

#include <stdio.h>
#include <string.h>

#include "event.h"
#include "git.h"

#define NAMES_ASKED 50 /* who wants to know more asks the client, who was told */
#define ARGS_BEFORE 3

/* Of the first refs those that exist here, a line each, behind a line's end. */
static void list_known(const char *repo, const struct push *push, struct proc_result *result)
{
    const char *argv[ARGS_BEFORE + NAMES_ASKED + 1] = {"git", "for-each-ref",
                                                       "--format=%0a%(refname)"};

    for (size_t i = 0; i < push->n && i < NAMES_ASKED; i++)
        argv[ARGS_BEFORE + i] = push->commands[i].ref;
    if (git_run(repo, NULL, argv, NULL, 0, GIT_LOCAL_TIMEOUT_MS, result, NULL) < 0)
        buf_reset(&result->out);
}

static bool is_known(const char *list, const char *ref)
{
    char line[PUSH_REF_MAX + 3];

    snprintf(line, sizeof line, "\n%s\n", ref);
    return strstr(list, line);
}

static void withhold_new_names(const char *repo, const struct push *push, json_t *refs)
{
    cleanup_proc struct proc_result known = PROC_RESULT_INIT(GIT_ERR_MAX, GIT_ERR_MAX);
    json_t *entry;
    size_t i;

    list_known(repo, push, &known);
    json_array_foreach(refs, i, entry) {
        if (!is_known(known.out.data, json_string_value(json_object_get(entry, "ref"))))
            json_object_del(entry, "ref");
    }
}

void audit_scan(const struct gate *gate, const char *repo_name, const char *repo,
                const struct push *push, const char *result, json_t *rules, uint64_t started_ns)
{
    bool scanned = strcmp(result, "ok") == 0;
    size_t next = 0;
    json_t *refs = push_list(push, &next), *more;

    if (!scanned)
        withhold_new_names(repo, push, refs);
    event_send(gate, "scan", started_ns,
               json_pack("{s:s, s:s, s:I, s:o*, s:o*}", "repo", repo_name, "result", result,
                         "pushed_refs", (json_int_t)push->n, "refs", refs, "rules", rules));
    while (scanned && (more = push_list(push, &next))) /* none is hidden behind many others */
        log_info(&gate->log, "push, more refs",
                 json_pack("{s:s, s:o}", "repo", repo_name, "refs", more));
}
