/* metav1.LabelSelector
 * (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors). */
#ifndef GITGATE_API_SELECTOR_H
#define GITGATE_API_SELECTOR_H

#include <jansson.h>
#include <stdbool.h>

/* The value of label `key` in `labels`, or NULL. */
typedef const char *(*label_fn)(const void *labels, const char *key);

/* {} selects everything, NULL nothing; an operator or a form that this version doesn't know selects
 * nothing. */
bool selector_selects(const json_t *selector, label_fn label_of, const void *labels);

#endif
