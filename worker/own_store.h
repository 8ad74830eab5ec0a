// An attempt's view of its function's store, in the instance: what lies in Redis, read through the
// worker, and over it the attempt's own writes, which are kept here until it succeeds.
//
// Nothing is kept of what was read: each read asks again. Errors say what the author of the
// function should change. Not thread-safe: it belongs to the thread that runs the handler.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "protocol/row_writes.h"
#include "store/row_calls.h"

namespace fanfare::worker {

class OwnStore {
 public:
  // How the store is read: of a key, or of what keys begin with behind a key.
  struct Reading {
    std::function<Result<store::Rows>(std::string_view key)> get;
    std::function<Result<store::Rows>(std::string_view prefix, std::string_view after,
                                      std::uint32_t rows_max)>
        list;
  };
  explicit OwnStore(Reading reading) : reading_(std::move(reading)) {}

  Result<std::optional<std::string>> get(std::string_view key) const;
  // Up to `rows_max` rows (1 to store::kListRowsMax), fewer if they are large.
  Result<store::Rows> list(std::string_view prefix, std::string_view after,
                           std::uint32_t rows_max) const;

  // `expires_ms`: Unix ms, 0 = never.
  Result<void> put(std::string_view key, std::string_view value, std::int64_t expires_ms);
  Result<void> erase(std::string_view key);
  // Added to what the row holds when the attempt is committed, not to what it holds now.
  Result<void> increment(std::string_view key, std::int64_t by);

  bool written() const { return !writes_.empty(); }
  std::string packed() const;
  void forget();  // the next attempt begins

 private:
  struct Write {
    protocol::RowWrite::Kind kind = protocol::RowWrite::Kind::kPut;
    std::string value;  // of a put
    std::int64_t by = 0;
    std::int64_t expires_ms = 0;
  };
  using Writes = std::map<std::string, Write, std::less<>>;

  Result<void> take(std::string_view key, Write write);
  Result<std::optional<std::string>> with(const Write& write,
                                          std::optional<std::string> held) const;

  Reading reading_;
  Writes writes_;
  std::size_t bytes_ = 0;
};

}  // namespace fanfare::worker
