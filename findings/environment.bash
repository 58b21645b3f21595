# Sourced by each finding: `packages NAME==VERSION ...` makes a throw-away environment, whose Python is then $python.
set -euo pipefail
packages() {
  local folder
  folder=$(mktemp -d)
  # shellcheck disable=SC2064
  trap "rm -rf '$folder'" EXIT
  "${PYTHON:-python3}" -m venv "$folder"
  python=$folder/bin/python
  "$python" -m pip install --quiet --disable-pip-version-check "$@"
}
