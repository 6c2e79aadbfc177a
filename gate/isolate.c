/* isolate: the pod's network split, installed by the first init container (root, NET_ADMIN). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/parse.h"
#include "base/proc.h"
#include "gate.h"
#include "git.h"
#include "ruleset.h"
#include "verbs.h"

#define RULESET_MAX (1u << 20)
#define RESOLV_MAX 65536
#define SAID_MAX 4096
#define TIMEOUT_MS 10000
#define RESOLV_CONF "/etc/resolv.conf"

static size_t read_nameservers(struct ip to[NAMESERVERS_MAX])
{
    cleanup_buf struct buf text = BUF_INIT(RESOLV_MAX);

    return file_read(RESOLV_CONF, &text, NULL) < 0 ? 0 : nameservers_parse(text.data, to);
}

static int run(const char *const *argv, const struct buf *input, struct error *err)
{
    cleanup_proc struct proc_result result = PROC_RESULT_INIT(SAID_MAX, SAID_MAX);
    int r = git_run("/", NULL, argv, input ? input->data : NULL, input ? input->len : 0, TIMEOUT_MS,
                    &result, err);

    if (r < 0)
        return r;
    if (result.exit_code != 0)
        return error_set(err, -EIO, "%s failed: %.400s", argv[0], result.err.data);
    return 0;
}

static int install(const struct gate *gate, uint32_t group, struct error *err)
{
    static const char *const nft[] = {"nft", "-f", "-", NULL};
    cleanup_buf struct buf rules = BUF_INIT(RULESET_MAX);
    struct ip nameservers[NAMESERVERS_MAX];

    ruleset_add(&rules, &gate->spec, group, nameservers, read_nameservers(nameservers));
    if (buf_error(&rules))
        return error_errno(err, buf_error(&rules), "cannot write the rules");
    return run(nft, &rules, err);
}

/* A git client writes its ls-refs request in small pieces, and the delayed acknowledgement of the
 * first holds the rest back for 43 ms. The route says to acknowledge at once. Nice to have. */
static void quicken_loopback(const struct gate *gate)
{
    static const char *const net[] = {"ip",       "route", "change",    "local",  "127.0.0.0/8",
                                      "dev",      "lo",    "proto",     "kernel", "scope",
                                      "host",     "src",   "127.0.0.1", "table",  "local",
                                      "quickack", "1",     NULL};
    static const char *const host[] = {"ip",       "route", "change",    "local",  "127.0.0.1",
                                       "dev",      "lo",    "proto",     "kernel", "scope",
                                       "host",     "src",   "127.0.0.1", "table",  "local",
                                       "quickack", "1",     NULL};
    struct error err = ERROR_INIT;

    if (run(net, NULL, &err) < 0 || run(host, NULL, &err) < 0)
        log_warn(&gate->log, "loopback stays as it is: a fetch takes 43 ms longer",
                 json_pack("{s:s}", "error", err.msg));
}

static int parse_group(int argc, char **argv, uint32_t *ret)
{
    uint64_t group;

    if (argc != 3 || strcmp(argv[1], "--group") != 0 || parse_u64(argv[2], INT32_MAX, &group) < 0 ||
        group == 0)
        return -EINVAL;
    *ret = (uint32_t)group;
    return 0;
}

int verb_isolate(int argc, char **argv)
{
    cleanup_gate struct gate gate = {0};
    struct error err = ERROR_INIT;
    uint32_t group;
    int r;

    if (parse_group(argc, argv, &group) < 0) {
        fputs(
            "usage: gitgate-gate isolate --group N (the gate's own in this pod, 1 to 2147483647)\n",
            stderr);
        return 2;
    }
    r = gate_open(&gate, &err);
    if (r == 0)
        r = gate_load(&gate, &err);
    if (r == 0)
        r = install(&gate, group, &err);
    if (r < 0) {
        log_error(&gate.log, "the network split is not installed",
                  json_pack("{s:s}", "error", err.msg));
        return 1;
    }
    quicken_loopback(&gate);
    log_info(&gate.log, "the network split is installed", NULL);
    return 0;
}
