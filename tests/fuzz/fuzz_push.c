/* A push's commands, as a client names them: packets to proc-receive, lines to pre-receive. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "pktline.h"
#include "policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is taken goes into git's arguments and into log lines: nothing but names and ids. */
static void check(const struct push *push)
{
    /* There are always some: the decoder's default is branches and tags. */
    static const char *refs[] = {"refs/tags/*", "refs/heads/$(POD_NAME)/*", "refs/heads/a*b*c",
                                 NULL};
    static const struct push_policy policy = {.allow = true, .allow_force = true, .refs = refs};
    const struct policy all = {
        .push = &policy, .default_ref = "refs/heads/main", .vars = {.pod_name = "agent"}};

    struct error err = ERROR_INIT;

    if (push->n > PUSH_COMMANDS_MAX)
        abort();
    for (size_t i = 0; i < push->n; i++) {
        const struct push_command *c = &push->commands[i];

        if (strncmp(c->ref, "refs/", 5) != 0 || strpbrk(c->ref, " \n\r\t:?*[\\^~\x7f") ||
            strstr(c->ref, "..") || strstr(c->ref, "@{") ||
            c->old_oid[strspn(c->old_oid, "0123456789abcdef")] ||
            c->new_oid[strspn(c->new_oid, "0123456789abcdef")])
            abort();
        policy_judge(&all, c, &err);
    }
}

/* A client's words, which come back to it in a sentence for a terminal. */
static void check_option(const struct pkt *pkt)
{
    static const char *options[] = {"ci.skip", "note=*", "pod=$(POD_NAME)", "a*b*c", NULL};
    static const struct push_policy policy = {.allow = true, .options = options};
    const struct policy all = {.push = &policy, .default_ref = "", .vars = {.pod_name = "agent"}};
    struct error err = ERROR_INIT;
    char *option = strndup(pkt->data, pkt->len);

    if (option && policy_judge_option(&all, option, &err) < 0)
        for (const char *p = err.msg; *p; p++)
            if (*p < 0x20 || *p > 0x7e)
                abort();
    free(option);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    cleanup_push struct push lines = PUSH_INIT, packets = PUSH_INIT;
    size_t at = 0;

    if (push_parse(text, size, &lines, NULL) == 0)
        check(&lines);
    while (at < size) {
        struct pkt pkt = pkt_parse(text + at, size - at);

        if (pkt.kind == PKT_MORE || pkt.kind == PKT_INVALID)
            break;
        if (pkt.used == 0 || at + pkt.used > size)
            abort();
        at += pkt.used;
        if (pkt.kind != PKT_DATA)
            continue;
        check_option(&pkt);
        push_add(&packets, pkt.data, pkt.len, NULL);
    }
    check(&packets);
    return 0;
}
