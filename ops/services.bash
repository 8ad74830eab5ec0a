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

# held_by NAME: how many deliveries it has; nothing if the broker cannot say.
held_by() {
  fanfare --json workers list 2>/dev/null | grep -o '{[^{}]*}' | grep -F "\"id\":\"$1\"" |
    sed -n 's/.*"held":\([0-9]*\).*/\1/p' || true
}

# quiet NUMBER...: they take nothing new, and this returns when they have finished what they had, or `finish_s`
# have passed.
quiet() {
  local name names=()
  for name in "$@"; do
    name=$(worker_name "$name")
    if fanfare workers drain "$name" >/dev/null 2>&1; then
      names+=("$name")
    else
      echo "the broker knows of no worker $name that it could tell to finish; its service's own drain does"
    fi
  done
  local held until=$((SECONDS + finish_s)) told=$SECONDS
  for name in "${names[@]}"; do
    while held=$(held_by "$name") && [[ -n $held && $held != 0 ]]; do
      ((SECONDS < until)) || { echo "$name has not finished $held within $finish_s s; its grace begins"; break; }
      if ((SECONDS >= told + 10)); then
        echo "$name finishes $held"
        told=$SECONDS
      fi
      sleep 0.1
    done
  done
}

# take_back NUMBER: the broker gives this name work again, now or when it comes.
take_back() {
  local name try
  name=$(worker_name "$1")
  for try in {1..50}; do
    # Of a worker that has just gone it may not have heard yet; one that it does not know needs nothing.
    ! fanfare workers resume "$name" 2>&1 | grep -q terminating || { sleep 0.1; continue; }
    return 0
  done
  echo "$me: the broker still has $name as one that goes (try $try); when it has gone: fanfare workers resume $name" >&2
}

# leave NUMBER...: they finish, then end; all at the same time.
leave() {
  local number unit until=$((SECONDS + finish_s + ready_s))
  quiet "$@"
  systemctl stop --no-block "${@/#/fanfare-worker@}"
  for number in "$@"; do
    unit=fanfare-worker@$number
    until [[ $(systemctl is-active "$unit") =~ ^(inactive|failed)$ ]]; do
      ((SECONDS < until)) || { echo "$me: $unit still drains: systemctl status $unit" >&2; return 1; }
      sleep 0.1
    done
    take_back "$number"
    [[ $(property "$unit" Result) == success ]] ||
      echo "$me: $unit ended with '$(property "$unit" Result)'; why: journalctl -u $unit -n 30" >&2
  done
}
