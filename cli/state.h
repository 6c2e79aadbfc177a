/* The state folder of `gitgate run`: the files that a pod would mount, written where the gate finds
 * them.
 *
 *     DIR/config/  entrypoint, access-hook, pre-receive, proc-receive, gate.json
 *     DIR/creds/   <name>-key and so on, for the calling user alone
 *     DIR/client/  gitconfig, for the git of whoever uses the gate
 *     DIR/git/     the repositories, made by the gate
 *     DIR/lock     held by the one who uses the folder, with the number of his process in it
 */
#ifndef GITGATE_CLI_STATE_H
#define GITGATE_CLI_STATE_H

#include "base/error.h"
#include "input.h"

/* `--state-dir`, or else $XDG_STATE_HOME/gitgate/<gate> or ~/.local/state/gitgate/<gate>: made when
 * it is not there, refused when it belongs to another user. An absolute path, to be freed. */
int state_open(const char *dir, const char *gate, char **ret, struct error *err);

/* For as long as `ret` is open (it is closed on exec), nobody else has the folder: two gates would
 * take each other's configuration and credentials for theirs. -EBUSY says whose it is. */
int state_lock(const char *dir, int *ret, struct error *err);

/* Writes config, creds and client; files in creds that no upstream has any more are removed.
 * `creds` is the Secret that render_creds made; `authority` is what clients put behind git://. */
int state_write(const char *dir, const struct input *input, const json_t *creds,
                const char *authority, struct error *err);

#endif
