// A real Redis with the library, whose counts must add up in the end.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "store/keys.h"
#include "store/test_store.h"

namespace fanfare::store::test {

using Verdicts = std::vector<Verdict>;
using Counts = std::map<std::string, std::string>;

class Library : public ::testing::Test {
 protected:
  Library() { store.get<Begun>(Begin{}); }
  ~Library() override { store.expect_counts_add_up(); }
  Verdicts commit(const std::vector<Ends>& groups, std::int64_t ttl_ms = 60'000) {
    return store.get<Committed>(commit_of(groups, ttl_ms)).verdicts;
  }
  Verdicts postpone(const std::vector<Ends>& groups, std::int64_t due_ms = 1000) {
    return store.get<Moved>(postpone_of(groups, due_ms)).verdicts;
  }
  Verdicts bury(const std::vector<Ends>& groups,
                protocol::Status status = protocol::Status::kFailed) {
    return store.get<Moved>(bury_of(groups, status)).verdicts;
  }
  std::string exists(const std::string& key) { return store.command({"EXISTS", key}); }
  std::string length() { return store.command({"XLEN", journal_key(kFunction, {})}); }
  std::string states_left() { return store.command({"HLEN", open_key(kFunction, {})}); }

  TestStore store;
};

}  // namespace fanfare::store::test
