/* The program's verbs, each in the file of its name. `argv[0]` is the verb; the result is the exit
 * code. */
#ifndef GITGATE_GATE_VERBS_H
#define GITGATE_GATE_VERBS_H

int verb_serve(int argc, char **argv);
int verb_refresh(int argc, char **argv);
int verb_intake(int argc, char **argv);
int verb_scan(int argc, char **argv);
int verb_forward(int argc, char **argv);
int verb_maintain(int argc, char **argv);
int verb_forget(int argc, char **argv);
int verb_isolate(int argc, char **argv);
int verb_probe(int argc, char **argv);

#endif
