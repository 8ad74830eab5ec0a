#include "store/test_store.h"

#include <algorithm>
#include <stdexcept>

#include "store/decode.h"
#include "store/encode.h"
#include "store/error_table.h"
#include "store/keys.h"
#include "store/library.h"
#include "store/staging.h"

namespace fanfare::store::test {
namespace {

RedisSync connect(const RedisOptions& options) {
  auto redis = RedisSync::connect(options);
  if (!redis) throw std::runtime_error(redis.error().message);
  return std::move(*redis);
}

std::string joined(const RedisReply& reply) {
  if (!reply.is_array()) return fanfare::test::to_text(reply);
  std::string text = "(";
  for (std::size_t i = 0; i < reply.size(); ++i) text += joined(reply[i]) + ",";
  return text + ")";
}

}  // namespace

TestStore::TestStore(fanfare::test::RedisServerOptions options, std::string library)
    : server(std::move(options)), redis_(connect(server.options())) {
  const auto loaded =
      raw({"FUNCTION", "LOAD", "REPLACE", library.empty() ? library_text() : library});
  if (loaded->is_error()) throw std::runtime_error(std::string{loaded->text()});
}

OwnedReply TestStore::raw(std::vector<std::string> arguments) {
  auto reply = redis_.call(std::span<const std::string>(arguments));
  if (!reply) throw std::runtime_error(reply.error().message);
  return std::move(*reply);
}

Result<Answer> TestStore::ask(const Call& call, std::optional<EntryId> before) {
  if (auto checked = check(call); !checked) return checked.error();
  Arguments arguments;
  stage(call, arguments, [&] { (void)redis_.call(arguments.all()); });
  arguments.clear();
  encode(call, before, arguments);
  auto reply = redis_.call(arguments.all());
  if (!reply) return reply.error();
  if ((*reply)->is_error()) return to_error((*reply)->text());
  return decode(call, **reply);
}

ErrorKind TestStore::refusal(const Call& call) {
  const auto answer = ask(call);
  if (answer) throw std::runtime_error("the call was answered");
  return answer.error().kind;
}

std::string TestStore::content_of(const std::string& key) {
  const std::string type = command({"TYPE", key});
  if (type == "stream") {
    const auto entries = raw({"XRANGE", key, "-", "+"});
    std::string text;
    for (std::size_t i = 0; i < entries->size(); ++i) {
      if (!key.ends_with(":dead") && !key.ends_with(":outbox"))
        text += std::string{(*entries)[i][0].text()} + " ";
      text += joined((*entries)[i][1]) + "\n";
    }
    return text;
  }
  if (type == "zset") return joined(*raw({"ZRANGE", key, "0", "-1", "WITHSCORES"}));
  if (type == "string") return command({"GET", key});
  const auto fields = raw({"HGETALL", key});
  std::vector<std::string> lines;
  for (std::size_t i = 0; i + 1 < fields->size(); i += 2) {
    const std::string value{(*fields)[i + 1].text()};
    if (key.ends_with(":counts") && value == "0") continue;
    lines.push_back(std::string{(*fields)[i].text()} + "=" + value);
  }
  std::ranges::sort(lines);
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::map<std::string, std::string> TestStore::snapshot() {
  std::map<std::string, std::string> all;
  const auto keys = raw({"KEYS", "*"});
  for (std::size_t i = 0; i < keys->size(); ++i) {
    const std::string key{(*keys)[i].text()};
    std::string content = content_of(key);
    // What a call that was refused had staged goes by itself.
    const bool staged =
        (key.find("}:journal:") != key.npos || key.find("}:results:") != key.npos) &&
        std::ranges::count(key, ':') == 5;
    const bool expires = command({"TTL", key}) != "-1";
    if (content.empty() || (staged && expires)) continue;
    if (expires) content += "expires";
    all[key] = std::move(content);
  }
  return all;
}

std::map<std::string, std::string> TestStore::counts(std::string_view function) {
  std::map<std::string, std::string> counts;
  const auto fields = raw({"HGETALL", counts_key(function)});
  for (std::size_t i = 0; i + 1 < fields->size(); i += 2) {
    if ((*fields)[i + 1].text() == "0") continue;
    counts.emplace((*fields)[i].text(), (*fields)[i + 1].text());
  }
  return counts;
}

void TestStore::expect_counts_add_up(std::string_view function) {
  const auto counts = get<Surveyed>(Survey{std::string{function}}).counts;
  EXPECT_EQ(counts.accepted, counts.open + counts.later + counts.succeeded + counts.dead +
                                 counts.expired + counts.cancelled);
}

EntryId entry(std::uint64_t number) {
  return {1'700'000'000'000 + number, 0};
}
AttemptToken token(std::uint32_t number) {
  return protocol::make_token(1, number);
}

Append append_of(EntryId id, std::size_t events, std::uint32_t epoch) {
  Append append{.epoch = epoch, .entry = id, .streams = {}, .guards = {}};
  append.streams.push_back({.function = std::string{kFunction}, .lane = {}, .items = {}});
  for (std::size_t i = 0; i < events; ++i) {
    append.streams[0].items.push_back({static_cast<std::uint8_t>(i), "e" + std::to_string(i)});
  }
  return append;
}

Append large(Append append) {
  append.beside = true;
  for (auto& stream : append.streams) {
    for (auto& item : stream.items) {
      item.packed_event = std::string{item.packed_event} + std::string(kBesideMin - 2, '.');
    }
  }
  return append;
}

Commit commit_of(const std::vector<Ends>& groups, std::int64_t ttl_ms) {
  Commit commit{.function = std::string{kFunction}, .result_ttl_ms = ttl_ms, .groups = {}};
  for (const Ends& ends : groups) {
    Commit::Group group{.entry = ends.entry,
                        .lane = {},
                        .origin = ends.origin,
                        .entry_size = ends.entry_size,
                        .items = {}};
    for (const std::uint8_t index : ends.indexes) {
      group.items.push_back({index, index, token(ends.token), "r" + std::to_string(index)});
    }
    commit.groups.push_back(std::move(group));
  }
  return commit;
}

Commit packed(Commit commit) {
  commit.packed = true;
  return commit;
}

Commit large(Commit commit, std::int64_t ttl_ms) {
  commit.packed = commit.beside = true;
  commit.result_ttl_ms = ttl_ms;
  for (auto& group : commit.groups) {
    for (auto& item : group.items) {
      item.record = std::string{item.record} + std::string(kBesideMin, '.');
    }
  }
  return commit;
}

Postpone postpone_of(const std::vector<Ends>& groups, std::int64_t due_ms) {
  Postpone postpone{.epoch = 1, .function = std::string{kFunction}, .items = {}};
  for (const Ends& ends : groups) {
    for (const std::uint8_t index : ends.indexes) {
      postpone.items.push_back({.id = {ends.entry, index},
                                .slot = index,
                                .entry_size = ends.entry_size,
                                .lane = {},
                                .origin = ends.origin,
                                .token = token(ends.token),
                                .due_ms = due_ms,
                                .attempts = 1,
                                .accepted_ms = 7,
                                .packed_ledger = "ledger",
                                .packed_event = "e" + std::to_string(index)});
    }
  }
  return postpone;
}

Bury bury_of(const std::vector<Ends>& groups, protocol::Status status) {
  Bury bury{.epoch = 1,
            .function = std::string{kFunction},
            .result_ttl_ms = 60'000,
            .now_ms = 1'700'000'000'000,
            .items = {}};
  for (const Ends& ends : groups) {
    for (const std::uint8_t index : ends.indexes) {
      bury.items.push_back({.id = {ends.entry, index},
                            .slot = index,
                            .entry_size = ends.entry_size,
                            .lane = {},
                            .origin = ends.origin,
                            .token = token(ends.token),
                            .status = status,
                            .record = "r" + std::to_string(index),
                            .packed_event = "e" + std::to_string(index)});
    }
  }
  return bury;
}

}  // namespace fanfare::store::test
