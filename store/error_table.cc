#include "store/error_table.h"

#include <algorithm>
#include <string>

namespace fanfare::store {
namespace {

using enum OnError;
constexpr auto kReject = ErrorKind::kReject;
constexpr auto kRetryLater = ErrorKind::kRetryLater;
constexpr auto kStale = ErrorKind::kStale;
constexpr auto kFatal = ErrorKind::kFatal;

constexpr ErrorRule kRules[] = {
    // Of our own library.
    {"FENCED", kTell, kStale, "another broker has taken over; this one must stop"},
    {"GAP", kRepeat, kRetryLater, "an append before this one did not go through"},
    {"UNSTAGED", kRepeat, kRetryLater, "what goes before a call was not there in time"},
    {"GONE", kTell, kRetryLater, "an outbox was changed by somebody else; it is read again"},
    {"CLAIMED", kTell, kReject, "publish again: it will be answered as a duplicate"},
    {"BADLAYOUT", kTell, kFatal,
     "use the Fanfare version that wrote this data, or restore a backup of this one's"},
    {"BADCALL", kTell, kReject, "caller and function library disagree; this is a bug"},
    {"ERR Function not found", kLoadLibrary, kRetryLater, ""},
    {"NOSCRIPT", kLoadLibrary, kRetryLater, ""},
    // Passes by itself and soon.
    {"LOADING", kRepeat, kRetryLater, "Redis is reading its data; wait"},
    {"BUSY", kRepeat, kRetryLater, "a script of somebody else is holding Redis up"},
    {"MASTERDOWN", kRepeat, kRetryLater, "the replica has lost its master"},
    {"CLUSTERDOWN", kRepeat, kRetryLater, "the cluster is not serving"},
    {"TRYAGAIN", kRepeat, kRetryLater, ""},
    {"EXECABORT", kRepeat, kRetryLater, ""},
    // Passes when a person, or another part of the system, makes room.
    {"OOM", kTell, kRetryLater, "Redis is at its maxmemory: raise it or drain the queues"},
    {"MISCONF", kTell, kRetryLater, "Redis cannot write to its disk: make room or check its log"},
    {"NOREPLICAS", kTell, kRetryLater, "min-replicas-to-write is not met: bring the replicas back"},
    // Not this server.
    {"READONLY", kReconnect, kRetryLater, "this is a replica: connect to the master"},
    {"ERR max number of clients", kReconnect, kRetryLater, "raise Redis' maxclients"},
    {"MOVED", kTell, kFatal, "this is a cluster node: give Fanfare a single Redis server"},
    {"ASK", kTell, kFatal, "this is a cluster node: give Fanfare a single Redis server"},
    {"CROSSSLOT", kTell, kFatal, "this is a cluster node: give Fanfare a single Redis server"},
    {"NOAUTH", kTell, kFatal, "this Redis wants a password"},
    {"WRONGPASS", kTell, kFatal, "the password for this Redis is wrong"},
    {"NOPERM", kTell, kFatal, "docs/redis.md says what the Redis user needs"},
    {"ERR unknown command", kTell, kFatal, "Fanfare needs Redis 7.0 or newer"},
    // Somebody else's hands in our keys.
    {"WRONGTYPE", kTell, kReject,
     "changed by hand: RENAME it to a name outside fanfare:*, see docs/redis.md"},
    {"", kTell, kReject, ""},
};

}  // namespace

std::span<const ErrorRule> error_rules() {
  return kRules;
}

const ErrorRule& rule_for(std::string_view error_text) {
  return *std::ranges::find_if(
      kRules, [&](const ErrorRule& rule) { return error_text.starts_with(rule.prefix); });
}

Error to_error(std::string_view error_text) {
  const ErrorRule& rule = rule_for(error_text);
  while (error_text.ends_with('\n') || error_text.ends_with('\r')) error_text.remove_suffix(1);
  std::string message = "Redis: " + std::string{error_text.substr(0, 300)};
  if (!rule.advice.empty()) message.append(" (").append(rule.advice).append(")");
  return {rule.kind, std::move(message)};
}

}  // namespace fanfare::store
