# Looks at files as a pod of Flink sees them: bash -c THIS probe VERB TOKEN SECONDS ROLE DROP OWN [-Dkey=value...] PATH...
# README.md beside this file says what the words mean. Nothing that it is given is ever run.
export LC_ALL=C
set -o pipefail
verb=$1 token=$2 seconds=$3 role=$4 drop=$5 own=$6
# The image's entrypoint does not let Flink run as root, if it can help it.
if [ "$drop" = 1 ] && [ "$(id -u)" = 0 ]; then
  for tool in su-exec gosu; do
    command -v "$tool" >/dev/null && exec "$tool" flink bash -c "$BASH_EXECUTION_STRING" "$0" "$@"
  done
fi
shift 6
options=()
while [[ $1 == -D* ]]; do options+=("$1") && shift; done

say() { # The log, and for whoever may not read it the termination message.
  printf 'kubectl-flink-probe %s\n' "${*//$'\n'/ }"
  printf 'kubectl-flink-probe %s\n' "${*//$'\n'/ }" >>/dev/termination-log
} 2>/dev/null

look() { # there, gone, folder-gone or unknown, in $presence
  local error
  if error=$(stat -L -c '' -- "$1" 2>&1); then
    presence=there
  elif [ -L "$1" ]; then
    presence='unknown it is a symbolic link that leads nowhere'
  elif [[ $error != *': No such file or directory' ]]; then
    presence="unknown ${error#stat: } (as user $(id -u))"
  elif error=$(stat -L -c '' -- "${1%/*}/" 2>&1); then
    presence=gone
  elif [[ $error == *': No such file or directory' ]]; then
    presence=folder-gone
  else
    presence="unknown ${error#stat: } (as user $(id -u))"
  fi
}

hold() { # Writes the file, waits for the end of the pod, deletes it.
  local error stop= until=$((SECONDS + seconds))
  trap 'stop=1' TERM
  if ! error=$({ mkdir -p -- "${1%/*}/" && printf %s "$token" | tee -- "$1" >/dev/null; } 2>&1); then
    say "0 unknown $error (as user $(id -u))"
    rm -f -- "$1" 2>/dev/null
    return
  fi
  say 0 written
  while [ -z "$stop" ] && ((SECONDS < until)); do
    sleep 0.1
  done
  if error=$(rm -- "$1" 2>&1); then say 0 deleted; else say "0 not-deleted $error (as user $(id -u))"; fi
}

read_back() {
  local error
  look "$1"
  if [ "$presence" = there ]; then
    if ! error=$(cat -- "$1" 2>&1); then
      presence="unknown $error (as user $(id -u))"
    elif [ "$error" = "$token" ]; then
      presence=read
    else
      presence='unknown it is there, with something else in it'
    fi
  fi
  say 0 "$presence"
}

number=0
while ((number < own)); do
  case $verb in
    look) look "$1" && say "$number $presence" ;;
    hold) hold "$1" ;;
    read) read_back "$1" ;;
  esac
  number=$((number + 1))
  shift
done
[ $# = 0 ] && exit 0

# The other file systems are Flink's own, set up as the image's entrypoint does it.
work=/kubectl-flink-probe
home=${FLINK_HOME:-/opt/flink}
export FLINK_CONF_DIR=${FLINK_CONF_DIR:-$home/conf} FLINK_PLUGINS_DIR=${FLINK_PLUGINS_DIR:-$home/plugins}
for jar in ${ENABLE_BUILT_IN_PLUGINS//;/ }; do
  [ -e "$home/opt/$jar" ] && mkdir -p "$FLINK_PLUGINS_DIR/${jar%.jar}" &&
    ln -fs "$home/opt/$jar" "$FLINK_PLUGINS_DIR/${jar%.jar}/"
done
printf %s "$KUBECTL_FLINK_PROBE_CLASS" | base64 -d >"$work/StorageProbe.class"
unset KUBECTL_FLINK_PROBE_CLASS
java=${JAVA_HOME:+$JAVA_HOME/bin/}java
command=("$java" -Xmx192m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Djava.io.tmpdir="$work"
  -classpath "$work:$home/lib/*:$HADOOP_CLASSPATH:$HADOOP_CONF_DIR"
  StorageProbe "$verb" "$token" "$seconds" "$role" "$number" "${options[@]}" "$@")
[ "$verb" = hold ] || exec "${command[@]}"
# Java would end at once with the pod: it is told to delete the file first.
trap ': >"$work/stop"' TERM
"${command[@]}" &
while kill -0 $! 2>/dev/null; do wait $!; done
