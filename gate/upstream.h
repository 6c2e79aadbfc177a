/* How git reaches an upstream: its credential, and for ssh a configuration and one kept connection.
 */
#ifndef GITGATE_GATE_UPSTREAM_H
#define GITGATE_GATE_UPSTREAM_H

#include "base/proc.h"
#include "gate.h"

#define SSH_CONFIG_FILE OWN_DIR "/ssh_config"
/* core.sshCommand: a shell string, and so a constant. git runs it with the repository as its
 * folder. */
#define SSH_COMMAND "ssh -F " SSH_CONFIG_FILE

/* The address that extraHosts give the upstream's host, or NULL. In a pod /etc/hosts has it too, as
 * of the pod's start; a gate without a cluster has only this. */
const char *upstream_address(const struct gate *gate, const struct upstream *upstream);

/* Checks that the credential is there, links to it from the repository's own folder, and writes
 * what ssh reads. A kept connection that was opened with another key, host key or address is ended.
 * The repository's lock is held. The error is for the client to read. For https upstreams the same,
 * without ssh's part. */
int upstream_prepare(const struct gate *gate, const struct upstream *upstream, const char *repo,
                     struct error *err);

/* Runs git in the repository, which is prepared, to talk to the upstream. What ssh says, and the
 * server by it, is no word of git's: it comes behind those in `result->err`, each line with
 * WORDS_OF_SSH before it. `memory_max`: see struct proc_spec. */
int upstream_git(const char *repo, const char *const *argv, uint64_t timeout_ms,
                 uint64_t memory_max, struct proc_result *result, struct error *err);

/* Ends the connections that are kept for the repository. */
void upstream_end_connections(const char *repo);

#endif
