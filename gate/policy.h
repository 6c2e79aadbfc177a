/* May this push be made? Pure: the commands on the wire, the GitGate's policy, a verdict.
 *
 * The wire does not say whether a push is forced; whoever asks says whether the new value is ahead
 * of the old one, and policy_needs_ancestry tells when that has to be found out. */
#ifndef GITGATE_GATE_POLICY_H
#define GITGATE_GATE_POLICY_H

#include <stdbool.h>
#include <stddef.h>

#include "api/gitgate.h"
#include "base/buf.h"
#include "base/error.h"

#define OID_HEX_MAX 64         /* SHA-256; SHA-1 has 40 */
#define PUSH_COMMANDS_MAX 1000 /* refs in one push: `git push --mirror` of a large repository */
#define PUSH_REF_MAX 1024      /* bytes */
#define PUSH_COMPONENT_MAX 250 /* bytes of it between slashes */
#define PUSH_COMMANDS_BYTES_MAX ((2 * OID_HEX_MAX + PUSH_REF_MAX + 3) * PUSH_COMMANDS_MAX)

enum change { CHANGE_CREATE, CHANGE_UPDATE, CHANGE_DELETE };

struct push_command {
    char old_oid[OID_HEX_MAX + 1];
    char new_oid[OID_HEX_MAX + 1];
    char ref[PUSH_REF_MAX + 1];
    enum change change;
};

struct push {
    struct push_command *commands;
    size_t n;
};

#define PUSH_INIT ((struct push){0})
#define cleanup_push __attribute__((cleanup(push_done)))

void push_done(struct push *push);

/* git-check-ref-format(1), for a full name below refs/, and PUSH_COMPONENT_MAX. */
bool ref_name_valid(const char *ref, size_t len);

/* "<old> <new> <ref>", without a line's end: hex of one length, a ref name as git-check-ref-format
 * allows it. Adds it to the push; -EINVAL for anything else, a ref named twice included. */
int push_add(struct push *push, const char *line, size_t len, struct error *err);

/* All lines of a pre-receive hook's input. */
int push_parse(const char *text, size_t len, struct push *push, struct error *err);

/* The commands from `*from` on as an array of {"ref", "old", "new"}, as many as PUSH_LISTED_MAX
 * bytes hold and at least one; `*from` moves behind them. NULL when there are none left. */
#define PUSH_LISTED_MAX 8192 /* half of what a log line holds */
json_t *push_list(const struct push *push, size_t *from);

/* What $(POD_NAME), $(POD_NAMESPACE) and $(SERVICE_ACCOUNT) stand for. NULL or "": not known, and a
 * pattern that uses it matches nothing. */
struct push_vars {
    const char *pod_name, *pod_namespace, *service_account;
};

/* '*' in the pattern matches any run of characters, '/' included. What stands in a variable is
 * matched as it is. */
bool pattern_matches(const char *pattern, const char *text, const struct push_vars *vars);

struct policy {
    const struct push_policy *push;
    const char *default_ref; /* the upstream's HEAD; "" when it has none */
    struct push_vars vars;
};

/* Judges what needs no history: policy, ref, deletion. 0, or -EACCES with a sentence for the client
 * that names the ref and what would be allowed. */
int policy_judge(const struct policy *policy, const struct push_command *command,
                 struct error *err);

/* Whether the verdict hangs on the new value being ahead of the old one. */
bool policy_needs_ancestry(const struct policy *policy, const struct push_command *command);

/* The verdict on an update that is not ahead (`policy_needs_ancestry` was true). */
int policy_judge_forced(const struct policy *policy, const struct push_command *command,
                        struct error *err);

/* Judges a push option. 0, or -EACCES with a sentence for the client. */
int policy_judge_option(const struct policy *policy, const char *option, struct error *err);

/* Appends `text` so that a terminal shows it as text: control and non-ASCII bytes become '?'. */
void printable(struct buf *to, const char *text, size_t len);

#endif
