# Sourced by scripts that run several commands, before setup.sh: --help prints the comment at their top, --dry-run prints
# the commands instead of running them. Leaves the other arguments, and `step`, which runs or prints one command.
# shellcheck shell=bash

explain() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

step() {
    if [[ -n $_dry_run ]]; then
        printf '%q ' "$@"
        echo
    else
        "$@"
    fi
}

_dry_run=
_rest=()
for _argument in "$@"; do
    case "$_argument" in
        -h | --help)
            explain
            exit
            ;;
        --dry-run) _dry_run=yes ;;
        -*)
            echo "error: $_argument: no such option; see --help" >&2
            exit 2
            ;;
        *) _rest+=("$_argument") ;;
    esac
done
set -- ${_rest[@]+"${_rest[@]}"}
