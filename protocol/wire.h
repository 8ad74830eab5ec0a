// One description of each message serves both directions: a function `fields(wire, value)` names
// the fields in their order, and `wire` is an Encoder that writes them or a Decoder that reads
// them. For this folder's sources only.
//
//   str   text that must be UTF-8           text  users' words: made UTF-8 and cut, never refused
//   bin   any bytes                         list  an array of strings, or of structures with
//   `fields`
#pragma once

#include <algorithm>
#include <concepts>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/result.h"
#include "protocol/cursor.h"
#include "protocol/ids.h"
#include "protocol/packer.h"
#include "protocol/utf8.h"

namespace fanfare::protocol {

// `value` may be const (an Encoder reads it) or not (a Decoder fills it).
template <typename T, typename Plain>
concept Like = std::same_as<std::remove_const_t<T>, Plain>;

inline constexpr std::size_t kTextBytesMax = 1024;  // of a failure's type, message and the like

class Encoder {
 public:
  static constexpr bool kReads = false;
  Encoder(std::string& out, std::size_t expected_bytes) : packer_(out, expected_bytes) {}

  bool structure(const char*, std::uint32_t count, std::uint32_t /*later*/ = 0) {
    packer_.array(count);
    return true;
  }
  bool later_in_structure() { return true; }
  void end_structure() {}

  template <std::unsigned_integral T>
    requires(!std::same_as<T, bool>)
  void number(const char*, T value) {
    packer_.unsigned_integer(value);
  }
  template <std::signed_integral T>
  void number(const char*, T value) {
    packer_.integer(value);
  }
  template <typename E>
  void enumeration(const char*, E value) {
    packer_.unsigned_integer(static_cast<std::uint8_t>(value));
  }
  void boolean(const char*, bool value) { packer_.boolean(value); }
  void str(const char*, std::string_view value) { packer_.str(value); }
  void text(const char*, std::string_view value) {
    const bool as_is = value.size() <= kTextBytesMax && is_utf8(value);
    packer_.str(as_is ? value : std::string_view{to_utf8(value, kTextBytesMax)});
  }
  void text_or_nil(const char* name, std::string_view value) {
    value.empty() ? packer_.nil() : text(name, value);
  }
  void bin(const char*, std::string_view value) { packer_.bin(value); }
  template <typename T>
  void optional(const char* name, const std::optional<T>& value) {
    if (!value) return packer_.nil();
    if constexpr (std::is_enum_v<T>) {
      enumeration(name, *value);
    } else {
      number(name, *value);
    }
  }
  // Whether a message's next field is there; see Decoder.
  bool later() { return true; }
  // Says whether the value follows; writes nil if not.
  bool present(bool is_there) {
    if (!is_there) packer_.nil();
    return is_there;
  }
  template <typename Vector, typename Each>
  void list(const char*, Vector& values, Each each) {
    packer_.array(values.size());
    for (auto& value : values) each(*this, value);
  }

 private:
  Packer packer_;
};

class Decoder {
 public:
  static constexpr bool kReads = true;
  explicit Decoder(std::string_view bytes) : cursor_(bytes) {}

  bool ok() const { return cursor_.ok(); }
  Cursor& cursor() { return cursor_; }
  // A message grows at its end: each field that an older build does not write (KindInfo::later) is
  // read by `if (wire.later()) wire.…`, in order, and keeps its default if it is absent.
  void expect_later(std::uint32_t count) { later_ = count; }
  bool later() {
    if (later_ == 0) return false;
    --later_;
    return true;
  }
  // Fails unless everything was read, all of it was as it should be, and nothing follows.
  Result<void> finish(const char* what) {
    if (!cursor_.at_end()) cursor_.fail("unexpected bytes");
    return cursor_.ok() ? Result<void>{} : failure(what);
  }
  Error failure(const char* what) const {
    Error error = cursor_.error();
    error.message = std::string{what} + (field_ ? std::string{": "} + field_ : std::string{}) +
                    ": " + error.message;
    return error;
  }

  // Enters an array of `count` fields or more; those that are not known are skipped by
  // end_structure(). The last `later` of them may be absent, as an older build does not write them:
  // each is read by `if (wire.later_in_structure()) wire.…`, in order.
  bool structure(const char* name, std::uint32_t count, std::uint32_t later = 0) {
    const std::uint32_t found = cursor_.array(), always = count - later;
    if (cursor_.ok() && found < always) cursor_.fail("too few fields");
    note(name);
    if (depth_ < kDepthMax) {
      grown_[depth_] = found < always ? 0 : std::min(found - always, later);
      surplus_[depth_++] = found < count ? 0 : found - count;
    }
    return cursor_.ok();
  }
  bool later_in_structure() {
    if (depth_ == 0 || grown_[depth_ - 1] == 0) return false;
    --grown_[depth_ - 1];
    return true;
  }
  void end_structure() {
    if (depth_ == 0) return;
    for (std::uint32_t left = surplus_[--depth_]; left > 0 && cursor_.ok(); --left) {
      cursor_.skip(kDepthMax - depth_);
    }
    note("a later field");
  }

  template <typename T>
    requires std::integral<T>
  void number(const char* name, T& value) {
    if constexpr (std::is_unsigned_v<T>) {
      value = static_cast<T>(cursor_.unsigned_integer(std::numeric_limits<T>::max()));
    } else {
      const std::int64_t read = cursor_.integer();
      if (read < std::numeric_limits<T>::min() || read > std::numeric_limits<T>::max()) {
        cursor_.fail("integer out of range");
      }
      value = static_cast<T>(read);
    }
    note(name);
  }
  // `is_known(E)` is found beside the enumeration.
  template <typename E>
  void enumeration(const char* name, E& value) {
    value = static_cast<E>(cursor_.unsigned_integer(255));
    if (!is_known(value)) cursor_.fail("unknown value");
    note(name);
  }
  void boolean(const char* name, bool& value) {
    value = cursor_.boolean();
    note(name);
  }
  void str(const char* name, std::string_view& value) {
    value = cursor_.str();
    if (!is_utf8(value)) cursor_.fail("not UTF-8");
    note(name);
  }
  void str(const char* name, std::string& value) {
    std::string_view view;
    str(name, view);
    value = view;
  }
  void text(const char* name, std::string& value) {
    value = to_utf8(cursor_.str(), kTextBytesMax);
    note(name);
  }
  void text_or_nil(const char* name, std::string& value) {
    if (!cursor_.nil()) text(name, value);
  }
  template <typename Bytes>
  void bin(const char* name, Bytes& value) {
    value = cursor_.bin();
    note(name);
  }
  template <typename T>
  void optional(const char* name, std::optional<T>& value) {
    if (cursor_.nil()) return;
    if constexpr (std::is_enum_v<T>) {
      enumeration(name, value.emplace());
    } else {
      number(name, value.emplace());
    }
  }
  bool present(bool) { return !cursor_.nil(); }
  template <typename Vector, typename Each>
  void list(const char* name, Vector& values, Each each) {
    const std::uint32_t count = cursor_.array();
    note(name);
    values.reserve(std::min(count, kReservedMax));
    for (std::uint32_t i = 0; i < count && cursor_.ok(); ++i) each(*this, values.emplace_back());
  }

 private:
  static constexpr int kDepthMax = 8;
  static constexpr std::uint32_t kReservedMax = 256;  // a count is a claim: grow as it comes true

  // The field at hand when reading failed is the one to name.
  void note(const char* name) {
    if (field_ == nullptr && !cursor_.ok()) [[unlikely]]
      field_ = name;
  }

  Cursor cursor_;
  const char* field_ = nullptr;
  int depth_ = 0;
  std::uint32_t later_ = 0;  // fields of the message that are left, behind those it always has
  std::uint32_t surplus_[kDepthMax] = {};
  std::uint32_t grown_[kDepthMax] = {};  // later fields that are left in each structure
};

// ---- what several messages have in common ----

void fields(auto& wire, Like<EntryId> auto& id) {
  wire.structure("entry", 2);
  wire.number("entry.ms", id.ms);
  wire.number("entry.seq", id.seq);
  wire.end_structure();
}

void fields(auto& wire, Like<EventId> auto& id) {
  wire.structure("event id", 3);
  wire.number("event id.ms", id.entry.ms);
  wire.number("event id.seq", id.entry.seq);
  wire.number("event id.index", id.index);
  wire.end_structure();
}

inline constexpr auto each_str = [](auto& wire, auto& value) { wire.str("name", value); };
inline constexpr auto each_bin = [](auto& wire, auto& value) { wire.bin("bytes", value); };
inline constexpr auto each_fields = [](auto& wire, auto& value) { fields(wire, value); };

}  // namespace fanfare::protocol
