/* What single values of a GitGate may look like: one check a kind of text, for the tables. */
#ifndef GITGATE_API_CHECKS_H
#define GITGATE_API_CHECKS_H

#include "base/error.h"

/* All of the form that data/decode.h's field_check has: 0, or -EINVAL with "must be ...". */
int check_gate_name(const char *text, struct error *err);
int check_upstream_name(const char *text, struct error *err);
int check_namespace(const char *text, struct error *err);
int check_object_name(const char *text, struct error *err);   /* a Secret's, a ConfigMap's */
int check_source_secret(const char *text, struct error *err); /* one that gitgate doesn't make */
int check_data_key(const char *text, struct error *err);      /* a ConfigMap's key */
int check_known_host_key(const char *text, struct error *err);
int check_extra_host(const char *text, struct error *err);
int check_ip(const char *text, struct error *err);
int check_cidr(const char *text, struct error *err);
int check_ref_pattern(const char *text, struct error *err);
int check_option_pattern(const char *text, struct error *err);
int check_image(const char *text, struct error *err);
int check_rule_id(const char *text, struct error *err);
int check_fingerprint(const char *text, struct error *err); /* of a finding (gate/scan/judge.h) */

#endif
