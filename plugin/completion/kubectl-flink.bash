# shellcheck shell=bash
# Completes `kubectl-flink ...`. The program is given the line, not COMP_WORDS, which bash has cut at `=` and `:`, and the
# part of the last word that it will replace.
_kubectl_flink() {
    local IFS=$'\n'
    # shellcheck disable=SC2207 # bash 3 has no mapfile
    COMPREPLY=($(KUBECTL_FLINK_COMPLETE=bash kubectl-flink -- "${COMP_LINE:0:COMP_POINT}" "$2" 2>/dev/null))
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *[/=:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o nosort -F _kubectl_flink kubectl-flink 2>/dev/null || complete -F _kubectl_flink kubectl-flink
