/* The gate's own files: four scripts and the gate as gate.json. The scripts are the same for every
 * gate, so no value of a GitGate can ever become shell text. */
#include <stdlib.h>

#include "base/buf.h"
#include "data/json_write.h"
#include "render/object.h"
#include "render/render.h"

static const char entrypoint[] =
    "#!/bin/sh\n"
    "# The gate's first process: makes the repositories, listens, hands connections to git.\n"
    "# The folders are the pod's own unless the environment names others (`gitgate run` does).\n"
    "set -eu\n"
    "export GITGATE_CONFIG_DIR=\"${GITGATE_CONFIG_DIR:-" GITGATE_CONFIG_DIR "}\"\n"
    "export GITGATE_CREDS_DIR=\"${GITGATE_CREDS_DIR:-" GITGATE_CREDS_DIR "}\"\n"
    "export GITGATE_REPOS_DIR=\"${GITGATE_REPOS_DIR:-" GITGATE_REPOS_DIR "}\"\n"
    "exec gitgate-gate serve\n";

static const char access_hook[] = "#!/bin/sh\n"
                                  "# git daemon runs this before it serves a repository, with the "
                                  "service, the repository's path\n"
                                  "# and the client's host and address. Another exit code than 0 "
                                  "refuses the client: nothing stale\n"
                                  "# is served.\n"
                                  "exec gitgate-gate refresh \"$@\"\n";

static const char pre_receive[] =
    "#!/bin/sh\n"
    "# git runs this in the repository with \"<old> <new> <ref>\" lines on standard input, the "
    "pushed\n"
    "# objects in quarantine. Another exit code than 0 refuses the push, all of it.\n"
    "exec gitgate-gate scan\n";

static const char proc_receive[] =
    "#!/bin/sh\n"
    "# git speaks its proc-receive protocol with this (githooks(5)) once pre-receive has agreed: "
    "each\n"
    "# ref goes to the upstream, and moves here only where it moved there. Of a hook that was "
    "killed "
    "git\n"
    "# would say that the push was rejected, whatever the upstream did: better that nothing is "
    "said.\n"
    "gitgate-gate forward && exit\n"
    "code=$?\n"
    "[ \"$code\" -lt 128 ] || kill -KILL \"$PPID\"\n"
    "exit \"$code\"\n";

#define GATE_TEXT_MAX (8u << 20) /* etcd takes 1.5 MiB; escapes may take more room */
#define GATE_TEXT_AT_FIRST 1024  /* most: the text is not moved as it grows */

/* Of the source only what the gate reads: no status, no managed fields. */
static char *gate_text(const struct gitgate *gate)
{
    json_auto_t *object = json_pack(
        "{s:s, s:s, s:{s:s, s:s*}, s:O}", "apiVersion", GITGATE_API_VERSION, "kind", GITGATE_KIND,
        "metadata", "name", gate->name, "namespace", *gate->namespace_ ? gate->namespace_ : NULL,
        "spec", json_object_get(gate->source, "spec"));

    cleanup_buf struct buf text = BUF_INIT(GATE_TEXT_MAX);

    buf_reserve(&text, GATE_TEXT_AT_FIRST);
    json_write(&text, object);
    return buf_take(&text);
}

json_t *render_hooks(const struct gitgate *gate)
{
    cleanup_free char *text = gate_text(gate);

    if (!text)
        return NULL;
    return object_with(object_new(gate, "v1", "ConfigMap", NAME_HOOKS), "data",
                       json_pack("{s:s, s:s, s:s, s:s, s:s}", "entrypoint", entrypoint,
                                 "access-hook", access_hook, "pre-receive", pre_receive,
                                 "proc-receive", proc_receive, "gate.json", text));
}
