// Redis' answer to one command, read in place.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

struct redisReply;  // of hiredis, which stays out of headers

namespace fanfare {

// A non-owning view of a reply or of one element of it; valid as long as what it views. Asking for
// what is not there gives an empty text, 0, or a nil reply, never a crash.
class RedisReply {
 public:
  enum class Type { kLost, kNil, kStatus, kError, kInteger, kString, kArray };

  RedisReply() = default;  // lost
  explicit RedisReply(const redisReply* raw);

  Type type() const { return type_; }
  // The connection died before an answer came: whether Redis did the work is unknown.
  bool lost() const { return type_ == Type::kLost; }
  bool is_error() const { return type_ == Type::kError; }
  bool is_nil() const { return type_ == Type::kNil; }
  bool is_array() const { return type_ == Type::kArray; }

  std::string_view text() const;  // of a status, error or string
  std::int64_t integer() const;   // of an integer
  std::size_t size() const;       // elements of an array
  RedisReply operator[](std::size_t index) const;

 private:
  const redisReply* raw_ = nullptr;
  Type type_ = Type::kLost;
};

}  // namespace fanfare
