#include "base/redis_reply.h"

#include <hiredis/hiredis.h>

namespace fanfare {
namespace {

RedisReply::Type type_of(const redisReply* raw) {
  if (raw == nullptr) return RedisReply::Type::kLost;
  switch (raw->type) {
    case REDIS_REPLY_STATUS:
      return RedisReply::Type::kStatus;
    case REDIS_REPLY_ERROR:
      return RedisReply::Type::kError;
    case REDIS_REPLY_INTEGER:
      return RedisReply::Type::kInteger;
    case REDIS_REPLY_STRING:
      return RedisReply::Type::kString;
    case REDIS_REPLY_ARRAY:
      return RedisReply::Type::kArray;
    default:
      return RedisReply::Type::kNil;
  }
}

constexpr redisReply make_nil() {
  redisReply reply{};
  reply.type = REDIS_REPLY_NIL;
  return reply;
}
constexpr redisReply kNil = make_nil();

}  // namespace

RedisReply::RedisReply(const redisReply* raw) : raw_(raw), type_(type_of(raw)) {}

std::string_view RedisReply::text() const {
  if (type_ != Type::kString && type_ != Type::kStatus && type_ != Type::kError) return {};
  return {raw_->str, raw_->len};
}

std::int64_t RedisReply::integer() const {
  return type_ == Type::kInteger ? raw_->integer : 0;
}

std::size_t RedisReply::size() const {
  return type_ == Type::kArray ? raw_->elements : 0;
}

RedisReply RedisReply::operator[](std::size_t index) const {
  return RedisReply(index < size() ? raw_->element[index] : &kNil);
}

}  // namespace fanfare
