"""Compares the objects that helm and kustomize make: same_objects.py CHART KUSTOMIZE

What only one of them can have is left out: the labels that helm adds, the certificate that the
chart makes (its Secret and the caBundles), the Namespace that helm makes by itself.
"""

import json
import sys

import yaml

ONLY_HELM = ("app.kubernetes.io/managed-by", "app.kubernetes.io/version", "helm.sh/chart",
             "helm.sh/resource-policy")


def without_helm(mapping):
    return {key: value for key, value in (mapping or {}).items() if key not in ONLY_HELM}


def comparable(thing):
    metadata = thing["metadata"]
    for field in ("labels", "annotations"):
        metadata[field] = without_helm(metadata.get(field))
    metadata["labels"].setdefault("app.kubernetes.io/name", "gitgate")
    for webhook in thing.get("webhooks", []):
        webhook["clientConfig"].pop("caBundle", None)
    return json.dumps(thing, indent=1, sort_keys=True).splitlines()


def objects(path):
    with open(path, encoding="utf-8") as file:
        things = [thing for thing in yaml.safe_load_all(file) if thing]
    return {(thing["kind"], thing["metadata"]["name"]): comparable(thing)
            for thing in things if thing["kind"] not in ("Namespace", "Secret")}


def main():
    chart, kustomize = objects(sys.argv[1]), objects(sys.argv[2])
    different = 0
    for key in sorted(set(chart) | set(kustomize)):
        ours, theirs = chart.get(key, ["(absent)"]), kustomize.get(key, ["(absent)"])
        if ours == theirs:
            continue
        different += 1
        print("%s %s:" % key)
        print("  only the chart:    ", *[line for line in ours if line not in theirs], sep="\n    ")
        print("  only the manifests:", *[line for line in theirs if line not in ours], sep="\n    ")
    print("%d objects, %d differ" % (len(set(chart) | set(kustomize)), different))
    return 1 if different or not chart else 0


sys.exit(main())
