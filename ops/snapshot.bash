# shellcheck shell=bash
# What backup and restore share: where an installation lies, and a Redis of one's own on a snapshot, to look
# at it or to change it before anybody uses it. It is sourced, after services.bash.
#
# An archive is a tar of one folder, fanfare-backup: `manifest`, `SHA256SUMS` of all its files, `redis.rdb`, and the
# folders `config`, `triggers` and `storage` if there was something for them. docs/decisions/0034 says why.

layout_known=2  # the newest, of what lies in Redis; store/library/base.lua has the same
count_names=(accepted open later succeeded dead expired cancelled)

data=           # the installation's folder; empty: the services of this machine
redis_url=      # as given or found; empty: the socket in its run folder
part=           # the folder that is worked in; nothing of it is left behind

# Of a checkout the programs that have been built there, else those of the path.
built=$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/../build/release/bin
[[ ! -x $built/fanfare ]] || PATH=$(readlink -f "$built"):$PATH

# find_installation: as the command fanfare does. Sets the places of everything.
# shellcheck disable=SC2034  # read by the scripts
find_installation() {
  data=${data:-${FANFARE_DATA:-}}
  [[ -n $data || ! -d fanfare-data ]] || data=fanfare-data
  if [[ -n $data ]]; then
    [[ -d $data ]] || fail "there is no folder $data; name one with --data"
    data=$(readlink -f "$data")
    run=$data/run home=$data config=$data/triggers.toml
  else
    [[ -d /run/systemd/system && -d /var/lib/fanfare ]] ||
      fail 'Fanfare is not installed as services of this machine; name the folder of an installation with --data'
    run=/run/fanfare home=/var/lib/fanfare config=/etc/fanfare
    ((EUID == 0)) || fail 'only root reads all of the services; run it with sudo'
  fi
  [[ -n $redis_url || ! -s $run/redis.url ]] || redis_url=$(head -n 1 "$run/redis.url")
}

# redis ARGUMENT...: redis-cli at the installation's Redis. Passwords go by the environment, which is nobody's.
redis() {
  if [[ $redis_url == redis://* ]]; then
    local rest=${redis_url#redis://} user_password=
    [[ $rest != *@* ]] || { user_password=${rest%@*} rest=${rest##*@}; }
    REDISCLI_AUTH=${user_password#*:} redis-cli -u "redis://$rest" "$@"
  else
    local socket=${redis_url#unix://}
    redis-cli -s "${socket:-$run/redis.sock}" "$@"
  fi
}

# Its INFO has FIELD.
redis_info() { redis info all | tr -d '\r' | sed -n "s/^$1://p"; }

# take_part FOLDER: a folder to work in, for nobody else to see, and for one at a time.
take_part() {
  part=$1
  mkdir -p "$(dirname "$part")"
  # Not one that somebody else has made there.
  mkdir -m 700 "$part" 2>/dev/null || [[ -d $part && ! -L $part && -O $part ]] ||
    { part= && fail "$1 is somebody else's, and not worked in: remove it"; }
  chmod 700 "$part"
  exec 8<"$part"
  flock --nonblock 8 || { part= && fail "another one works in $1; run this again when it has ended"; }
  empty_part
}
empty_part() { find "$part" -mindepth 1 -delete; }

trial_pid=
# start_trial FOLDER [SETTING...]: a Redis on what lies there, reached by nobody else; if memory runs out it is
# the first to go. Returns when it has read everything.
start_trial() {
  local folder=$1 answer
  shift
  (
    cd "$folder" || exit 1
    # It does not outlive this script, however that ends.
    exec setpriv --pdeathsig KILL choom -n 1000 -- redis-server --port 0 --unixsocket trial.sock --unixsocketperm 700 \
      --dir . --dbfilename redis.rdb --save '' --appendfsync always --auto-aof-rewrite-percentage 0 "$@"
  ) >"$part/trial.log" 2>&1 7>&- 8>&- 9>&- &
  trial_pid=$!
  while answer=$(trial "$folder" ping 2>&1 || true) && [[ $answer != PONG ]]; do
    if ! kill -0 "$trial_pid" 2>/dev/null; then
      tail -n 5 "$part/trial.log" >&2
      fail "Redis cannot read what lies in the archive"
    fi
    sleep 0.05
  done
}
# trial FOLDER COMMAND...: fails if that one's Redis says that it is an error.
trial() { (cd "$1" && shift && redis-cli -e -s trial.sock "$@"); }
# The file is whole when it has ended.
stop_trial() {
  trial "$1" shutdown nosave >/dev/null 2>&1 || true
  wait "$trial_pid" || true
  trial_pid=
  rm -f "$1/trial.sock"
}

# drop_part: for a trap at the script's end.
# shellcheck disable=SC2317
drop_part() {
  [[ -z $trial_pid ]] || { kill -KILL "$trial_pid" 2>/dev/null || true; wait "$trial_pid" 2>/dev/null || true; }
  [[ -z $part ]] || rm -rf "$part"
}

# facts FOLDER: what the trial's Redis holds, one fact a line, as manifests have them.
facts() {
  local name values state
  mapfile -t values < <(trial "$1" hmget fanfare:meta layout epoch last_entry)
  printf 'layout %s\nepoch %s\nlast_entry %s\n' "${values[@]}"
  {
    trial "$1" hkeys fanfare:functions
    trial "$1" --scan --pattern 'fanfare:{*}:counts' | sed -e 's/^fanfare:{//' -e 's/}:counts$//'
  } | { grep -xE '[a-zA-Z0-9_-]{1,64}' || true; } | sort -u | while read -r name; do
    state=$(trial "$1" --raw hget fanfare:functions "$name" | head -n 1 | cut -d' ' -f2)
    mapfile -t values < <(trial "$1" hmget "fanfare:{$name}:counts" "${count_names[@]}")
    printf 'function %s %s' "$name" "${state:-removed}"
    for i in "${!count_names[@]}"; do printf ' %s=%s' "${count_names[i]}" "${values[i]:-0}"; done
    echo
  done
}

# Functions whose counts do not add up, of facts on stdin.
unbalanced() {
  awk '$1 == "function" {
    split($0, ignored); sum = 0
    for (i = 4; i <= NF; ++i) { split($i, pair, "="); if (pair[1] == "accepted") all = pair[2]; else sum += pair[2] }
    if (all != sum) print $2
  }'
}

# A line of a manifest: what stands behind its first word.
manifest_says() { sed -n "s/^$2 //p" "$1/manifest"; }

# unpack FILE FOLDER: refuses what is no archive of ours, or is not whole.
unpack() {
  local layout
  [[ -r $1 ]] || fail "cannot read $1"
  tar --list --file "$1" >"$2/members" 2>/dev/null || fail "$1 is damaged, or no archive: tar cannot read it"
  if grep -qvE '^fanfare-backup/' "$2/members" || grep -qE '(^|/)\.\.(/|$)' "$2/members"; then
    fail "$1 is no backup of Fanfare: it has files elsewhere than in fanfare-backup/"
  fi
  local size free
  size=$(stat -Lc %s "$1") free=$(df --output=avail -B1 "$2" | tail -n 1)
  ((free > 2 * size)) || fail "$((2 * size >> 20)) MiB are needed in $2, $((free >> 20)) MiB are free"
  tar --extract --preserve-permissions --file "$1" --directory "$2"
  local folder=$2/fanfare-backup
  [[ $(head -n 1 "$folder/manifest" 2>/dev/null) == 'fanfare-backup 1' ]] ||
    fail "$1 is no backup of Fanfare that this version can read; its manifest begins with '$(head -c 40 "$folder/manifest" 2>/dev/null)'"
  (cd "$folder" && sha256sum --check --strict --quiet SHA256SUMS) >"$2/sums" 2>&1 ||
    fail "$1 is damaged: $(head -n 3 "$2/sums" | tr '\n' ' ')"
  # A name may hold a newline, of which sha256sum makes no line.
  (cd "$folder" && find . -type f ! -path ./SHA256SUMS -printf x | wc -c) | grep -qx "$(wc -l <"$folder/SHA256SUMS")" ||
    fail "$1 is damaged: it has other files than SHA256SUMS names"
  layout=$(manifest_says "$folder" layout)
  # An older one is read as well.
  knows_layout "$layout" ||
    fail "$1 holds layout $layout, this version of Fanfare knows $layout_known; use the version that made it: $(manifest_says "$folder" version)"
}
knows_layout() { [[ $1 =~ ^[1-9][0-9]{0,5}$ ]] && (($1 <= layout_known)); }

# check_snapshot FOLDER: that the trial's Redis on it holds what the manifest says.
check_snapshot() {
  facts "$1" >"$part/facts"
  grep -E '^(layout|epoch|last_entry|function) ' "$1/manifest" >"$part/said" || true
  # Made without a trial: then there is nothing to compare with.
  [[ $(manifest_says "$1" trial) == yes ]] || return 0
  diff "$part/said" "$part/facts" >"$part/difference" ||
    fail "what Redis reads is not what the manifest says: $(head -n 4 "$part/difference" | tr '\n' ' ')"
}

# How many events the facts on stdin speak of.
summary() {
  awk '$1 == "function" { ++functions; for (i = 4; i <= NF; ++i) { split($i, pair, "="); sum[pair[1]] += pair[2] } }
    END { printf "%d functions; %d events accepted: %d open, %d later, %d succeeded, %d dead, %d expired, %d cancelled\n",
      functions, sum["accepted"], sum["open"], sum["later"], sum["succeeded"], sum["dead"], sum["expired"], sum["cancelled"] }'
}
