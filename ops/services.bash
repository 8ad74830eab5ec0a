# shellcheck shell=bash
# What the scripts share that change the services of a machine: who may, one at a time, which workers there
# are, waiting until a unit is ready or gone, and other machines. It is sourced, and ends the script on errors
# that leave nothing to decide.
#
# Scripts read `me` (the name they were called by), `dry_run`, `ready_s` and `finish_s`.

script=${0##*/}
script=${script#fanfare-}
case ${0##*/} in
  fanfare-*) me=fanfare-$script ;;
  *) me=ops/$script ;;
esac
dry_run=no
ready_s=120   # a service that starts is given this long to be ready
finish_s=900  # a worker that is to go, to finish what runs; after that its own grace
hosts=()
rest=()       # what take_options leaves to the script

fail() {
  echo "$me: $1" >&2
  exit 1
}
misused() {
  echo "$me: $1; see $me --help" >&2
  exit 2
}

service_options() {
  cat <<'TXT'
  --dry-run           says what it would do, and changes nothing
  --ready SECONDS     how long a service may take to be ready (120)
  --finish SECONDS    how long a worker that is to go may go on with what runs (900); then it has [worker] grace
  --host HOST         does it there instead, by ssh; several, one after the other. HOST is what ssh takes; as root
  --hosts FILE        the same for each line of FILE; empty lines and those with # are none
TXT
}

# seconds TEXT: whether it is a number of them that makes sense.
seconds() { [[ $1 =~ ^[0-9]{1,6}$ ]] || misused "'$1' is no number of seconds"; }

# take_options ARGUMENT...: those of service_options, and --help by the script's `usage`.
take_options() {
  while (($#)); do
    case $1 in
      --dry-run) dry_run=yes ;;
      --help | -h)
        usage
        exit 0
        ;;
      --ready | --finish | --host | --hosts)
        (($# > 1)) || misused "$1 takes a value"
        take_option "$1" "$2"
        shift
        ;;
      *) rest+=("$1") ;;
    esac
    shift
  done
}

take_option() {
  local lines
  case $1 in
    --ready) seconds "$2" && ready_s=$((10#$2)) ;;
    --finish) seconds "$2" && finish_s=$((10#$2)) ;;
    --host) hosts+=("$2") ;;
    --hosts)
      [[ -r $2 ]] || misused "cannot read $2"
      mapfile -t lines < <(sed -e 's/#.*//' -e 's/[[:space:]]//g' -e '/^$/d' "$2")
      ((${#lines[@]})) || misused "$2 names no host"
      hosts+=("${lines[@]}")
      ;;
  esac
}

# on_hosts ARGUMENT...: runs this very script on each of `hosts`, and ends; does nothing if there are none. The
# first that fails is the last: what is wrong with one should not happen to all.
on_hosts() {
  ((${#hosts[@]})) || return 0
  local host at=0 code=0 options=(--ready "$ready_s" --finish "$finish_s")
  [[ $dry_run == no ]] || options+=(--dry-run)
  for host in "${hosts[@]}"; do
    [[ $host != -* ]] || misused "'$host' is no host"
    echo "== $host"
    # ssh hands on one line to a shell: so it is quoted for one.
    ssh -o BatchMode=yes -- "$host" "$(printf '%q ' "fanfare-$script" "$@" "${options[@]}")" </dev/null || code=$?
    if ((code != 0)); then
      echo "$me: $host failed (exit code $code); not looked at: ${hosts[*]:at+1}" >&2
      exit $((code == 2 ? 2 : 1))
    fi
    at=$((at + 1))
  done
  exit 0
}

need_services() {
  [[ -d /run/systemd/system ]] ||
    fail 'this machine does not run systemd; an installation in a folder has as many workers as fanfare up --workers N says'
  systemctl cat fanfare-worker@.service >/dev/null 2>&1 ||
    fail 'Fanfare is not installed as services of this machine: ops/install, or apt install ./fanfare_*.deb'
  mean_services
}
# Whatever folder of an installation whoever calls this works in, or with: the services are meant.
mean_services() {
  unset FANFARE_DATA
  cd /
}

# One at a time, for as long as this process lives: two would count the same workers.
take_lock() {
  [[ $dry_run == no ]] || return 0
  ((EUID == 0)) || fail 'only root starts and stops services; run it with sudo'
  exec 9>>/run/fanfare-ops.lock
  flock --nonblock 9 || fail "$(cat /run/fanfare-ops.lock) is at work; run this again when it has ended"
  echo "$me (process $$)" >/run/fanfare-ops.lock
}

# act WORDS COMMAND...: says what it does and does it; or only says it.
act() {
  local words=$1
  shift
  if [[ $dry_run == yes ]]; then
    echo "would $words"
  else
    echo "$words"
    "$@"
  fi
}

is_active() { systemctl is-active --quiet "$1"; }
property() { systemctl show -P "$2" "$1"; }

# workers here|leaving: numbers, ascending, of those that run or are about to; of those that drain to go. Units
# with other names than numbers are left alone.
workers() {
  {
    systemctl list-jobs --plain --no-legend | awk '{ print "job", $2, $3 }'
    systemctl list-units --all --full --plain --no-legend 'fanfare-worker@*.service' | awk '{ print "unit", $1, $3 }'
  } | awk -v wanted="$1" '
    $1 == "job" { job[$2] = $3; next }
    $2 !~ /^fanfare-worker@[1-9][0-9]*\.service$/ { next }
    {
      comes = job[$2] == "start" || job[$2] == "restart"
      leaves = job[$2] == "stop" || ($3 == "deactivating" && !comes)
      here = ($3 != "inactive" && $3 != "failed") || comes
      if (wanted == "leaving" ? leaves : here && !leaves) print substr($2, 16, length($2) - 23)
    }' | sort -n
}

# wait_ready UNIT...: until all are, within `ready_s` together.
wait_ready() {
  local until=$((SECONDS + ready_s)) unit state
  for unit in "$@"; do
    while state=$(systemctl is-active "$unit" || true) && [[ $state != active ]]; do
      if [[ $state == failed ]] || ((SECONDS >= until)); then
        echo "$me: $unit is not ready but $state; why: journalctl -u $unit -n 30" >&2
        return 1
      fi
      sleep 0.1
    done
  done
}

# restart UNIT: returns when another process of it is ready.
restart() {
  local before until=$((SECONDS + ready_s + finish_s))
  before=$(property "$1" InvocationID)
  systemctl restart --no-block "$1"
  while [[ $(property "$1" InvocationID) == "$before" ]]; do
    if ((SECONDS >= until)); then
      echo "$me: $1 still stops, after $((ready_s + finish_s)) s: systemctl status $1" >&2
      return 1
    fi
    sleep 0.1
  done
  wait_ready "$1"
}

# The name by which the broker knows the worker of a number, as its unit gives it.
worker_name() {
  local host
  host=$(uname -n)
  echo "${host%%.*}-$1"
}

# broker_says: "NAME STATE HELD" of each worker that the broker knows, one a line; fails if it does not answer.
broker_says() {
  local list
  list=$(fanfare --json workers list 2>/dev/null) || return 1
  { grep -o '{[^{}]*}' <<<"$list" || true; } | awk '
    function value(key, at) {
      if (!match($0, "\"" key "\":\"?[^,\"}]*")) return "?"
      at = substr($0, RSTART, RLENGTH)
      sub("^\"" key "\":\"?", "", at)
      return at
    }
    { print value("id"), value("state"), value("held") }'
}
# of_worker NUMBER: "STATE HELD", as the broker says; nothing if it does not know it, or does not answer.
of_worker() {
  local said
  said=$(broker_says) || return 0
  awk -v name="$(worker_name "$1")" '$1 == name { state = $2; held += $3 } END { if (state) print state, held }' <<<"$said"
}

# known SECONDS NUMBER...: until the broker knows those that run, however they are. After its restart they come back to
# it within a second or two; one that never knows them is another one than theirs.
known() {
  local until=$((SECONDS + $1)) said number strangers
  shift
  while :; do
    strangers=()
    said=$'\n'$(broker_says || true)
    for number in "$@"; do
      ! is_active "fanfare-worker@$number" || [[ $said == *$'\n'"$(worker_name "$number") "* ]] || strangers+=("$(worker_name "$number")")
    done
    ((${#strangers[@]})) || return 0
    ((SECONDS < until)) || break
    sleep 0.1
  done
  fail "the broker that 'fanfare workers list' asks does not answer, or does not know ${strangers[*]}, which run here. If theirs is on
another machine, name it in ~/.config/fanfare/client.toml (docs/operations.md, Several hosts)"
}

# works NUMBER: until it takes work, as the broker sees it.
works() {
  local until=$((SECONDS + ready_s))
  until [[ $(of_worker "$1") == running\ * ]]; do
    ((SECONDS < until)) || fail "the broker does not see $(worker_name "$1") at work; look at fanfare workers list"
    sleep 0.1
  done
}

# at_work [BUT]: numbers of this machine's workers that take work; without BUT.
at_work() {
  local number said
  said=$'\n'$(broker_says || true)
  for number in $(workers here); do
    [[ $number == "${1:-}" || $said != *$'\n'"$(worker_name "$number") running "* ]] || echo "$number"
  done
}

# tell_quiet NUMBER: whether it could be told to take nothing new. A broker that has just been restarted is asked again.
tell_quiet() {
  local name answer until=$((SECONDS + 15))
  name=$(worker_name "$1")
  until answer=$(fanfare workers drain "$name" 2>&1); do
    if ((SECONDS >= until)); then
      echo "$name cannot be told to take nothing new (${answer%%$'\n'*}); its service's own drain does"
      return 1
    fi
    sleep 0.1
  done
}

# finished NUMBER UNTIL: until it holds nothing, or its process has ended, or SECONDS are UNTIL. A broker that does not
# answer, or does not know it, has been restarted: then nobody can say, and it is asked again.
finished() {
  local name said process unit=fanfare-worker@$1 told=$SECONDS
  name=$(worker_name "$1")
  process=$(property "$unit" MainPID)
  while [[ $process != 0 && $(property "$unit" MainPID) == "$process" ]]; do
    said=$(of_worker "$1")
    # Of a restart of the broker it may not have been told.
    [[ $said != running\ * ]] || fanfare workers drain "$name" >/dev/null 2>&1 || true
    [[ $said != 'quiet 0' && $said != 'terminating 0' ]] || return 0
    ((SECONDS < $2)) || { echo "$name has not finished (${said:-the broker cannot say what it has}) within $finish_s s; its grace begins"; return 0; }
    if ((SECONDS >= told + 10)); then
      echo "$name finishes ${said:-something; the broker cannot say how much}"
      told=$SECONDS
    fi
    sleep 0.1
  done
}

# quiet NUMBER...: they take nothing new, and this returns when they have finished what they had, or `finish_s`
# have passed.
quiet() {
  local number told=() until
  for number in "$@"; do ! tell_quiet "$number" || told+=("$number"); done
  until=$((SECONDS + finish_s))
  for number in "${told[@]}"; do finished "$number" "$until"; done
}

# take_back NUMBER: the broker gives this name work again, now or when it comes. One that it does not know needs nothing;
# of one that has just gone it may not have heard yet, and refuses. Says so if it could not.
take_back() {
  local name answer until=$((SECONDS + ready_s))
  name=$(worker_name "$1")
  until answer=$(fanfare workers resume "$name" 2>&1) || [[ $answer == *'no worker is named'* ]]; do
    if ((SECONDS >= until)); then
      echo "$me: the broker may still give $name no work (${answer%%$'\n'*}); when it answers: fanfare workers resume $name" >&2
      return 1
    fi
    sleep 0.1
  done
}

# gone NUMBER: until it has ended. How long that may take is systemd's to bound: by the unit's TimeoutStopSec, and what
# the worker asks for beyond it, it kills what is left.
gone() {
  local state unit=fanfare-worker@$1 again=0
  until state=$(systemctl is-active "$unit" || true) && [[ $state =~ ^(inactive|failed)$ ]]; do
    if [[ $state != deactivating && -z $(systemctl list-jobs --plain --no-legend "$unit.service") ]]; then again=$((again + 1)); else again=0; fi
    ((again < 20)) || { echo "$me: $unit has been started again by somebody else" >&2; return 1; }
    sleep 0.1
  done
  [[ $(property "$unit" Result) == success ]] ||
    echo "$me: $unit ended with '$(property "$unit" Result)'; why: journalctl -u $unit -n 30" >&2
}

# leave NUMBER...: they finish, then end; all at the same time. Whatever happens, none stays quiet by its name.
leave() {
  local number code=0
  quiet "$@"
  systemctl stop --no-block "${@/#/fanfare-worker@}" || code=1
  for number in "$@"; do
    gone "$number" || code=1
    take_back "$number" || code=1
  done
  return "$code"
}

# Of a service: its process runs a file that is no longer the installed one.
runs_old() {
  local pid
  pid=$(property "$1" MainPID)
  [[ $pid != 0 && $(readlink "/proc/$pid/exe") == *' (deleted)' ]]
}
