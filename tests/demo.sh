#!/bin/bash
# demo.sh [--keep] [--cluster NAME] : gitgate's main job, shown step by step
#
# For a Debian machine, as root: installs what is missing, brings a kind cluster up, installs gitgate
# in it, and lets an agent clone, push, and try to push a secret. Removes what it made in the end,
# unless told to keep it.
set -euo pipefail
tests=$(cd "$(dirname "$0")" && pwd)

"$tests/deps" demo
exec "$tests/e2e/main_job.sh" --cluster gitgate-demo "$@"
