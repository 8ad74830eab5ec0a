// For tests: a redis-server with the function library, asked through a blocking connection; and
// short ways to write calls down.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/redis_sync.h"
#include "store/calls.h"
#include "tests/support/redis_server.h"

namespace fanfare::store::test {

inline constexpr std::string_view kFunction = "resize";

class TestStore {
 public:
  // Throws (and so fails the test) if the library does not load.
  explicit TestStore(fanfare::test::RedisServerOptions options = {}, std::string library = {});

  Result<Answer> ask(const Call& call, std::optional<EntryId> before = std::nullopt);
  // The answer of the type that is expected; throws if it is another, or an error.
  template <typename T>
  T get(const Call& call) {
    auto answer = ask(call);
    if (!answer) throw std::runtime_error(answer.error().message);
    return std::get<T>(*answer);
  }
  ErrorKind refusal(const Call& call);  // throws if it is none

  // Everything that lies in Redis, key by key, as text, but: no ids of dead letters and outbox
  // entries, no counts of 0, no empty streams, no ttl beyond whether there is one.
  std::map<std::string, std::string> snapshot();
  std::map<std::string, std::string> counts(std::string_view function = kFunction);
  // accepted = open + later + succeeded + dead + expired + cancelled
  void expect_counts_add_up(std::string_view function = kFunction);

  std::string command(const std::vector<std::string>& arguments) {
    return server.command(arguments);
  }

  fanfare::test::RedisServer server;

 private:
  OwnedReply raw(std::vector<std::string> arguments);
  std::string content_of(const std::string& key);
  RedisSync redis_;
};

EntryId entry(std::uint64_t number);
AttemptToken token(std::uint32_t number);

// An append of events "e0", "e1", … into the default lane of kFunction.
Append append_of(EntryId entry, std::size_t events, std::uint32_t epoch = 1);

Append large(Append append);  // of events so large that they lie beside their entry

struct Ends {
  EntryId entry;
  std::uint16_t entry_size = 1;
  std::vector<std::uint8_t> indexes;  // slot = index
  std::uint32_t token = 1;
  Origin origin = Origin::kJournal;
};
Commit commit_of(const std::vector<Ends>& groups, std::int64_t ttl_ms = 60'000);
Commit packed(Commit commit);  // as of a worker whose session's data have layout 2
// Packed, with results so large that they lie beside, and a ttl that nothing else has.
Commit large(Commit commit, std::int64_t ttl_ms = 3'600'000);
Postpone postpone_of(const std::vector<Ends>& groups, std::int64_t due_ms = 1000);
Bury bury_of(const std::vector<Ends>& groups, protocol::Status status = protocol::Status::kFailed);

}  // namespace fanfare::store::test
