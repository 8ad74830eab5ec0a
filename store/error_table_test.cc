#include "store/error_table.h"

#include <gtest/gtest.h>

#include <string>

namespace fanfare::store {
namespace {

TEST(ErrorTable, KnowsEveryClassOfRedis) {
  struct Case {
    const char* text;
    OnError action;
    ErrorKind kind;
  };
  const Case cases[] = {
      {"LOADING Redis is loading the dataset in memory", OnError::kRepeat, ErrorKind::kRetryLater},
      {"BUSY Redis is busy running a script.", OnError::kRepeat, ErrorKind::kRetryLater},
      {"MASTERDOWN Link with MASTER is down", OnError::kRepeat, ErrorKind::kRetryLater},
      {"CLUSTERDOWN The cluster is down", OnError::kRepeat, ErrorKind::kRetryLater},
      {"TRYAGAIN Multiple keys request", OnError::kRepeat, ErrorKind::kRetryLater},
      {"EXECABORT Transaction discarded", OnError::kRepeat, ErrorKind::kRetryLater},
      {"GAP the append before this one is missing", OnError::kRepeat, ErrorKind::kRetryLater},
      {"GONE an outbox entry is not there any more", OnError::kTell, ErrorKind::kRetryLater},
      {"CLAIMED an event with the same id", OnError::kTell, ErrorKind::kReject},
      {"MISCONF Errors writing to the AOF file", OnError::kTell, ErrorKind::kRetryLater},
      {"OOM command not allowed", OnError::kTell, ErrorKind::kRetryLater},
      {"NOREPLICAS Not enough good replicas", OnError::kTell, ErrorKind::kRetryLater},
      {"READONLY You can't write against a read only replica.", OnError::kReconnect,
       ErrorKind::kRetryLater},
      {"ERR max number of clients reached", OnError::kReconnect, ErrorKind::kRetryLater},
      {"NOAUTH Authentication required.", OnError::kTell, ErrorKind::kFatal},
      {"NOPERM this user has no permissions", OnError::kTell, ErrorKind::kFatal},
      {"WRONGPASS invalid username-password pair", OnError::kTell, ErrorKind::kFatal},
      {"MOVED 3999 127.0.0.1:6381", OnError::kTell, ErrorKind::kFatal},
      {"ASK 3999 127.0.0.1:6381", OnError::kTell, ErrorKind::kFatal},
      {"CROSSSLOT Keys in request don't hash to the same slot", OnError::kTell, ErrorKind::kFatal},
      {"ERR unknown command 'FCALL'", OnError::kTell, ErrorKind::kFatal},
      {"ERR Function not found", OnError::kLoadLibrary, ErrorKind::kRetryLater},
      {"NOSCRIPT No matching script", OnError::kLoadLibrary, ErrorKind::kRetryLater},
      {"WRONGTYPE Operation against a key", OnError::kTell, ErrorKind::kReject},
      {"FENCED another broker has taken over", OnError::kTell, ErrorKind::kStale},
      {"BADLAYOUT this Redis holds another layout version", OnError::kTell, ErrorKind::kFatal},
      {"BADCALL head", OnError::kTell, ErrorKind::kReject},
      {"ERR something nobody has heard of", OnError::kTell, ErrorKind::kReject},
      {"", OnError::kTell, ErrorKind::kReject},
  };
  for (const Case& c : cases) {
    EXPECT_EQ(rule_for(c.text).action, c.action) << c.text;
    EXPECT_EQ(to_error(c.text).kind, c.kind) << c.text;
  }
}

TEST(ErrorTable, EndsWithARuleForEverything) {
  EXPECT_TRUE(error_rules().back().prefix.empty());
}

TEST(ErrorTable, TellsWhatRedisSaidAndWhatToDoInOneLine) {
  const Error error = to_error("OOM command not allowed\r\n");
  EXPECT_EQ(
      error.message,
      "Redis: OOM command not allowed (Redis is at its maxmemory: raise it or drain the queues)");
  EXPECT_LT(to_error(std::string(5000, 'x')).message.size(), 400u);
}

}  // namespace
}  // namespace fanfare::store
